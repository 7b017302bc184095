// S6: cycle counts: sheet, entries, variance, approval.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const COUNTS = "/api/v1/counts";
const box = async () => {
  const code = fresh("box").toLowerCase();
  (await app.owner.post("/api/v1/places", { code, kind: "box" })).expect(201);
  return code;
};
const begin = async (place, more) => (await app.owner.post(COUNTS, { place, ...more })).expect(201).data;
const enter = (id, lines, client = app.owner) => client.post(`${COUNTS}/${id}/lines`, { lines });
const sheet = (id, more = "", client = app.owner) => client.all(`${COUNTS}/${id}/lines${more}`);
const act = (id, verb, client = app.owner) => client.post(`${COUNTS}/${id}/${verb}`);
const approve = async (id) => {
  (await act(id, "submit")).expect(200);
  return act(id, "approve");
};
const move = (sku, from, to, quantity) =>
  app.owner.post("/api/v1/stock/moves", { sku, from, to, quantity, reason: "test" });

// A box with 10 of one, 5 of another and 1 of a third item.
async function stocked() {
  const place = await box();
  const skus = [fresh("CA"), fresh("CB"), fresh("CC")];
  await app.item(skus[0], { stock: 10, place });
  await app.item(skus[1], { stock: 5, place });
  await app.item(skus[2], { stock: 1, place });
  return { place, skus };
}

describe("S6 a count", () => {
  test("from the sheet to the adjustments, in one transaction", async () => {
    const { place, skus } = await stocked();
    const found = await app.item(fresh("CD"));
    const count = await begin(place, { note: "first shelf" });
    expect(count).toMatchObject({ place, state: "open", blind: false, note: "first shelf", lines: 0 });
    expect((await sheet(count.id)).map(({ sku, expected, counted }) => [sku, expected, counted])).toEqual([
      [skus[0], 10, null],
      [skus[1], 5, null],
      [skus[2], 1, null],
    ]);
    const entries = [
      { sku: skus[0], quantity: 10 },
      { sku: skus[1], quantity: 3 },
      { sku: found, quantity: 2 },
    ];
    const { lines } = (await enter(count.id, entries)).expect(200).data;
    expect(lines.map(({ sku, expected, counted, variance }) => [sku, expected, counted, variance])).toEqual([
      [skus[0], 10, 10, 0],
      [skus[1], 5, 3, -2],
      [found, 0, 2, 2],
    ]);
    expect((await sheet(count.id, "?show=uncounted")).map(({ sku }) => sku)).toEqual([skus[2]]);
    expect((await sheet(count.id, "?show=differing")).map(({ sku }) => sku).sort()).toEqual(
      [skus[1], found].sort(),
    );
    const handed = (await act(count.id, "submit")).expect(200).data;
    expect(handed).toMatchObject({ state: "counted", differing: 2 });
    const approved = (await act(count.id, "approve")).expect(200).data;
    expect(approved).toMatchObject({ state: "approved", lines: 3, settled_by: app.owner.user.email });
    expect(await app.onHand(skus[0], place)).toBe(10);
    expect(await app.onHand(skus[1], place)).toBe(3);
    expect(await app.onHand(skus[2], place), "what was not counted stays").toBe(1);
    expect(await app.onHand(found, place)).toBe(2);
    const [adjustment] = await app.moves(skus[1]);
    expect(adjustment).toMatchObject({
      quantity: 2, from: place, to: "adjustment", source: "count", source_ref: count.id, reason: "counted",
    });
    const at = (await app.owner.get(`/api/v1/places/${place}`)).expect(200).data.last_counted_at;
    expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
    expect((await act(count.id, "approve")).expect(200).data, "again, nothing happens").toEqual(approved);
    expect(await app.onHand(skus[1], place)).toBe(3);
  });

  test("what moves after an item was counted is no difference, and the sheet says so", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    (await enter(id, [{ sku: skus[0], quantity: 9 }, { sku: skus[1], quantity: 5 }])).expect(200);
    (await move(skus[0], place, "customer", 4)).expect(201);
    const lines = await sheet(id);
    expect(lines[0]).toMatchObject({ expected: 10, counted: 9, variance: -1, moved_since: true });
    expect(lines[1]).toMatchObject({ variance: 0, moved_since: false });
    (await approve(id)).expect(200);
    expect(await app.onHand(skus[0], place), "10 - 1 lost - 4 sold").toBe(5);
  });

  test("recount: an item entered again is counted anew, against the level of then", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    await enter(id, [{ sku: skus[0], quantity: 7 }]);
    (await move(skus[0], place, "customer", 2)).expect(201);
    const [line] = (await enter(id, [{ sku: skus[0], quantity: 8 }])).expect(200).data.lines;
    expect(line).toMatchObject({ expected: 8, counted: 8, variance: 0, times: 2 });
    (await act(id, "submit")).expect(200);
    refused(await enter(id, [{ sku: skus[0], quantity: 1 }]), 409);
    (await act(id, "reopen")).expect(200);
    (await enter(id, [{ sku: skus[0], quantity: 6 }])).expect(200);
    (await approve(id)).expect(200);
    expect(await app.onHand(skus[0], place)).toBe(6);
  });

  test("one scan sent twice under one Idempotency-Key counts once", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    const lines = [{ sku: skus[0], quantity: 1, add: true }];
    const headers = { "Idempotency-Key": fresh("scan") };
    for (let i = 0; i < 2; i++)
      (await app.owner.post(`${COUNTS}/${id}/lines`, { lines }, { headers })).expect(200);
    expect((await sheet(id))[0]).toMatchObject({ counted: 1, times: 1 });
  });

  test("entries in any order are answered in theirs; a wrong one is named by its place", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    const order = [skus[2], skus[0], skus[1], skus[0]];
    const sent = order.map((sku, i) => ({ sku, quantity: i + 1 }));
    const { lines } = (await enter(id, sent)).expect(200).data;
    expect(lines.map(({ sku, counted }) => [sku, counted])).toEqual(order.map((sku, i) => [sku, i + 1]));
    expect((await sheet(id)).map(({ counted }) => counted)).toEqual([4, 3, 1]);
    refused(await enter(id, [...sent, { sku: "NO-SUCH", quantity: 1 }]), 422, "lines[4].sku");
  });

  test("a full one takes corrections, but no further item", async () => {
    const place = await box();
    const mark = fresh("FULL");
    const { id } = await begin(place);
    for (let at = 0; at < 2000; at += 500) {
      const lines = Array.from({ length: 500 }, (_, i) => ({ sku: `${mark}.${at + i}`, quantity: 1 }));
      (await app.owner.post("/api/v1/catalog/ingest", lines)).expect(200);
      (await enter(id, lines)).expect(200);
    }
    (await enter(id, [{ sku: `${mark}.0`, quantity: 3 }])).expect(200);
    const one = await app.item(fresh("FULL-MORE"));
    refused(await enter(id, [{ sku: one, quantity: 1 }]), 409);
    expect((await app.owner.get(`${COUNTS}/${id}`)).expect(200).data.lines).toBe(2000);
    (await act(id, "cancel")).expect(200);
  });

  test("two people scan at once, each scan counts", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    const people = [await app.as("clerk"), await app.as("manager")];
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) =>
        (await enter(id, [{ sku: skus[0], quantity: 1, add: true }], people[i % 2])).expect(200),
      ),
    );
    expect((await sheet(id))[0]).toMatchObject({ counted: 40, variance: 30, times: 40 });
  });

  test("blind, it keeps back what is expected until it is handed in", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place, { blind: true });
    const [line] = (await enter(id, [{ sku: skus[0], quantity: 4 }])).expect(200).data.lines;
    expect(line).toMatchObject({ counted: 4, expected: null, variance: null });
    for (const row of await sheet(id)) expect([row.expected, row.variance]).toEqual([null, null]);
    expect(await sheet(id, "?show=differing")).toEqual([]);
    expect((await app.owner.get(`${COUNTS}/${id}`)).expect(200).data.differing).toBe(0);
    (await act(id, "submit")).expect(200);
    expect((await sheet(id))[0]).toMatchObject({ expected: 10, variance: -6 });
  });

  test("cancelled, it changes nothing, and another may begin", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    const error = refused(await app.owner.post(COUNTS, { place }), 409);
    expect(error.message).toContain(id);
    await enter(id, [{ sku: skus[0], quantity: 1 }]);
    (await act(id, "cancel")).expect(200);
    expect(await app.onHand(skus[0], place)).toBe(10);
    refused(await act(id, "approve"), 409);
    refused(await act(id, "submit"), 409);
    refused(await enter(id, [{ sku: skus[0], quantity: 1 }]), 409);
    await begin(place);
  });

  test("a level may fall below what is sold by then: it is flagged", async () => {
    const { place, skus } = await stocked();
    const { id } = await begin(place);
    await enter(id, [{ sku: skus[0], quantity: 2 }]);
    (await move(skus[0], place, "customer", 9)).expect(201);
    (await approve(id)).expect(200);
    expect(await app.level(skus[0], place)).toMatchObject({ on_hand: -7, oversold: true });
  });

  test("approve, cancel and entries at once: one outcome, and levels that fit it", async () => {
    for (let i = 0; i < 6; i++) {
      const { place, skus } = await stocked();
      const { id } = await begin(place);
      await enter(id, [{ sku: skus[0], quantity: 3 }]);
      refused(await act(id, "approve"), 409); // not handed in yet
      (await act(id, "submit")).expect(200);
      const answers = await Promise.all([
        act(id, "approve"), act(id, "cancel"), act(id, "approve"), act(id, "reopen"),
        enter(id, [{ sku: skus[0], quantity: 4 }]),
      ]);
      for (const { status } of answers) expect([200, 409]).toContain(status);
      const { state } = (await app.owner.get(`${COUNTS}/${id}`)).data;
      const { counted } = (await sheet(id))[0];
      expect(await app.onHand(skus[0], place)).toBe(state === "approved" ? counted : 10);
    }
  });
});

describe("S6 who may, and what is wrong", () => {
  test("a clerk counts, a manager approves, a viewer looks on; nothing is another's", async () => {
    const { place, skus } = await stocked();
    const clerk = await app.as("clerk");
    const { id } = (await clerk.post(COUNTS, { place })).expect(201).data;
    (await enter(id, [{ sku: skus[0], quantity: 9 }], clerk)).expect(200);
    (await act(id, "submit", clerk)).expect(200);
    refused(await act(id, "approve", clerk), 403);
    expect((await sheet(id, "", await app.as("viewer"))).length).toBe(3);
    refused(await enter(id, [], await app.as("viewer")), 403);
    const other = await app.other();
    refused(await other.get(`${COUNTS}/${id}`), 404);
    refused(await other.get(`${COUNTS}/${id}/lines`), 404);
    refused(await act(id, "approve", other), 404);
    (await act(id, "approve", await app.as("manager"))).expect(200);
  });

  test("fields are named", async () => {
    const { place, skus } = await stocked();
    refused(await app.owner.post(COUNTS, {}), 422, "place");
    refused(await app.owner.post(COUNTS, { place: "nowhere" }), 422, "place");
    refused(await app.owner.post(COUNTS, { place: "supplier" }), 422, "place");
    const { id } = await begin(place);
    refused(await enter(id, []), 422, "lines");
    const unknown = [{ sku: skus[0], quantity: 1 }, { sku: "NOBODY", quantity: 1 }];
    refused(await enter(id, unknown), 422, "lines[1].sku");
    refused(await enter(id, [{ sku: skus[0], quantity: -1 }]), 422, "lines[0].quantity");
    const most = { sku: skus[0], quantity: 1_000_000_000, add: true };
    refused(await enter(id, [most, most]), 422, "lines[1].quantity");
    expect((await sheet(id)).every(({ counted }) => counted === null), "nothing half done").toBe(true);
    refused(await app.owner.get(`${COUNTS}/${id}/lines?show=colour`), 422, "show");
    refused(await app.owner.get(`${COUNTS}/nothing`), 404);
  });

  test("lists by state and place", async () => {
    const place = await box();
    const first = await begin(place);
    (await act(first.id, "cancel")).expect(200);
    const second = await begin(place);
    const ids = async (more = "") =>
      (await app.owner.all(`${COUNTS}?place=${place}${more}`)).map(({ id }) => id);
    expect(await ids()).toEqual([second.id, first.id]);
    expect(await ids("&state=open")).toEqual([second.id]);
  });
});
