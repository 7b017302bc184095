// W1, C3: one list of everything that a person must look at; repaired in place, replayed, dismissed, one by
// one and many at once.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp({ RATE_LIMIT: "0" });
const INGEST = "/api/v1/catalog/ingest";
const EXCEPTIONS = "/api/v1/catalog/exceptions";
const RUNS = `${EXCEPTIONS}/runs`;
const scan = (body) => app.owner.post(INGEST, body);
const list = (filter = "") => app.owner.all(`${EXCEPTIONS}?${filter}`);
const one = async (id) => (await app.owner.get(`${EXCEPTIONS}/${id}`)).expect(200).data;
const patch = (id, body) => app.owner.patch(`${EXCEPTIONS}/${id}`, body);
const replay = (id, body) => app.owner.post(`${EXCEPTIONS}/${id}/replay`, body);
const dismiss = (id, reason) => app.owner.post(`${EXCEPTIONS}/${id}/dismiss`, { reason });
const fields = (row) => row.problems.map(({ field }) => field);

async function kept(body) {
  refused(await scan(body), 422);
  return (await list(`filter[text]=${encodeURIComponent(body.sku)}`))[0];
}

describe("W1 an exception says all there is to know", () => {
  test("of a refused scan", async () => {
    const body = { sku: fresh("SAYS"), quantity: -1, scan_id: fresh("gun-1") };
    const row = await kept(body);
    expect(row).toMatchObject({ kind: "scan", source: "scan", state: "open", ref: body.scan_id, seen: 1 });
    expect(row).toMatchObject({ repaired: null, resolved_at: null, resolved_by: null });
    expect(row.actor).toBe("owner@default.example");
    expect(JSON.parse(row.body)).toEqual(body);
    expect(fields(row)).toEqual(["quantity"]);
    expect(await one(row.id)).toEqual(row);
  });

  test("the same scan refused again is the same exception", async () => {
    const body = { sku: fresh("TWICE"), quantity: -1, scan_id: fresh("gun-2") };
    const row = await kept(body);
    refused(await scan(body), 422);
    refused(await scan({ ...body, quantity: -7 }), 422);
    const rows = await list(`filter[text]=${body.sku}`);
    expect(rows.map(({ id }) => id)).toEqual([row.id]);
    expect(rows[0].seen).toBe(3);
    expect(JSON.parse(rows[0].body)).toEqual(body);
    expect(JSON.parse(rows[0].repaired)).toEqual({ ...body, quantity: -7 });
  });

  test("twenty of the same at once are one", async () => {
    const body = { sku: fresh("CROWD"), quantity: -1, scan_id: fresh("gun-3") };
    const answers = await Promise.all(Array.from({ length: 20 }, () => scan(body)));
    for (const answer of answers) refused(answer, 422);
    expect((await list(`filter[text]=${body.sku}`)).map(({ seen }) => seen)).toEqual([20]);
  });

  test("the scan sent again rightly ends it", async () => {
    const body = { sku: fresh("GOOD-LATER"), quantity: -1, scan_id: fresh("gun-4") };
    const row = await kept(body);
    (await scan({ ...body, quantity: 2 })).expect(201);
    expect(await one(row.id)).toMatchObject({ state: "resolved", resolved_by: "owner@default.example" });
    refused(await replay(row.id), 409);
    expect(await app.onHand(body.sku)).toBe(2);
  });

  test("the same of the array form", async () => {
    const body = { sku: fresh("ARRAY"), quantity: -1, scan_id: fresh("gun-5") };
    (await scan([body, body])).expect(200);
    (await scan([body])).expect(200);
    expect((await list(`filter[text]=${body.sku}`)).map(({ seen }) => seen)).toEqual([3]);
  });
});

describe("W1 repair in place", () => {
  test("corrects one field after the other, keeps what came, and replays", async () => {
    const sku = fresh("REPAIR");
    const row = await kept({ sku, quantity: -1, location: 5, colour: "red" });
    expect(fields(row).sort()).toEqual(["colour", "location", "quantity"]);
    const first = (await patch(row.id, { quantity: 4 })).expect(200).data;
    expect(fields(first).sort()).toEqual(["colour", "location"]);
    expect(first).toMatchObject({ state: "open", body: row.body });
    refused(await replay(row.id), 422, "colour", "location");
    const second = (await patch(row.id, { colour: null, location: "warehouse" })).expect(200).data;
    expect(second.problems).toEqual([]);
    expect(JSON.parse(second.repaired)).toEqual({ sku, quantity: 4, location: "warehouse" });
    const done = (await replay(row.id)).expect(201).data;
    expect(done).toMatchObject({ state: "resolved", body: row.body });
    expect(done.result).toMatchObject({ sku, quantity: 4, created: true });
    expect(await app.onHand(sku)).toBe(4);
    expect(await one(row.id)).toMatchObject({ state: "resolved", resolved_by: "owner@default.example" });
    refused(await patch(row.id, { quantity: 5 }), 409);
  });

  test("a correction that is wrong itself is refused and changes nothing", async () => {
    const row = await kept({ sku: fresh("WRONG"), quantity: -1 });
    refused(await patch(row.id, { quantity: -2 }), 422, "quantity");
    refused(await patch(row.id, { size: 3 }), 422, "quantity", "size");
    refused(await patch(row.id, [1]), 422, "body");
    refused(await patch(row.id, '{"quantity":'), 400);
    expect(await one(row.id)).toEqual(row);
  });

  test("what is no object is written anew", async () => {
    (await scan([17])).expect(200);
    const [row] = await list();
    expect(row.body).toBe("17");
    const sku = fresh("ANEW");
    (await patch(row.id, { sku, quantity: 1 })).expect(200);
    (await replay(row.id)).expect(201);
    expect(await app.onHand(sku)).toBe(1);
  });

  test("a scan_id that was used for another scan is replaced or taken away", async () => {
    const [sku, scan_id] = [fresh("TAKEN"), fresh("gun-6")];
    (await scan({ sku, quantity: 1, scan_id })).expect(201);
    refused(await scan({ sku, quantity: 2, scan_id }), 409);
    const [row] = await list(`filter[text]=${sku}&filter[state]=open`);
    refused(await replay(row.id), 409);
    (await patch(row.id, { scan_id: null })).expect(200);
    (await replay(row.id)).expect(201);
    expect(await app.onHand(sku)).toBe(3);
  });
});

describe("an exception is dismissed with a reason", () => {
  test("once, and then neither replayed nor repaired", async () => {
    const row = await kept({ sku: fresh("DISMISS"), quantity: -1 });
    refused(await app.owner.post(`${EXCEPTIONS}/${row.id}/dismiss`, {}), 422, "reason");
    const done = (await dismiss(row.id, "a test label")).expect(200).data;
    expect(done).toMatchObject({ state: "dismissed", resolution: "a test label" });
    refused(await dismiss(row.id, "again"), 409);
    refused(await replay(row.id), 409);
    refused(await patch(row.id, { quantity: 1 }), 409);
  });

  test("a clerk may, a viewer may only look", async () => {
    const row = await kept({ sku: fresh("ROLES"), quantity: -1 });
    const viewer = await app.as("viewer");
    (await viewer.get(`${EXCEPTIONS}/${row.id}`)).expect(200);
    refused(await viewer.patch(`${EXCEPTIONS}/${row.id}`, { quantity: 1 }), 403);
    refused(await viewer.post(RUNS, { action: "replay" }), 403);
    const clerk = await app.as("clerk");
    (await clerk.patch(`${EXCEPTIONS}/${row.id}`, { quantity: 1 })).expect(200);
    const done = (await clerk.post(`${EXCEPTIONS}/${row.id}/replay`)).expect(201).data;
    expect(done.resolved_by).toBe("clerk@default.example");
  });
});

describe("the list is filtered and counted", () => {
  test("by kind, source, state, field and text", async () => {
    const sku = fresh("FILTER_50%");
    const row = await kept({ sku, quantity: 1, location: "no-such" });
    const ids = async (filter) => (await list(filter)).map(({ id }) => id);
    expect(await ids("filter[kind]=scan")).toContain(row.id);
    expect(await ids("filter[kind]=delivery")).not.toContain(row.id);
    expect(await ids("filter[source]=scan&filter[state]=open&filter[field]=location")).toContain(row.id);
    expect(await ids("filter[field]=quantity")).not.toContain(row.id);
    expect(await ids("filter[field]=locatio_")).toEqual([]);
    expect(await ids(`filter[text]=${encodeURIComponent(sku.toLowerCase())}`)).toEqual([row.id]);
    expect(await ids("filter[text]=FILTER%25")).toEqual([]);
    refused(await app.owner.get(`${EXCEPTIONS}?filter[state]=gone`), 422);
  });

  test("counts agree with the list", async () => {
    const rows = await list();
    const counts = (await app.owner.get(`${EXCEPTIONS}/counts`)).expect(200).data;
    for (const { kind, source, state, count } of counts) {
      const same = rows.filter((row) => row.kind === kind && row.source === source && row.state === state);
      expect(same).toHaveLength(count);
    }
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(rows.length);
  });
});

describe("C3 deliveries stand in the same list", () => {
  async function stuck() {
    const event = shipment({ items: [{ sku: fresh("NOT-THERE"), quantity: 2 }] });
    (await app.hook(event)).expect(200);
    const delivery = await app.delivery(`${event.shipmentId}:shipped`);
    expect(delivery.state).toBe("exception");
    return { event, sku: event.items[0].sku, delivery, row: await one(delivery.id) };
  }
  const state = async (id) => (await app.owner.get(`/api/v1/deliveries/${id}`)).expect(200).data.state;

  test("with the delivery's id, its bytes and what is wrong", async () => {
    const { event, delivery, row } = await stuck();
    expect(row).toMatchObject({ kind: "delivery", source: "shipstation", state: "open" });
    expect(row.delivery_id).toBe(delivery.id);
    expect(row.ref).toBe(`${event.shipmentId}:shipped`);
    expect(JSON.parse(row.body)).toEqual(event);
    expect(row.problems).toEqual([{ field: null, problem: delivery.problem }]);
  });

  test("and end by themselves when the item appears", async () => {
    const { sku, delivery } = await stuck();
    await app.item(sku);
    await eventually(async () => expect(await state(delivery.id)).toBe("applied"));
    expect(await one(delivery.id)).toMatchObject({ state: "resolved" });
    expect(await app.onHand(sku)).toBe(-2);
  });

  test("replay says why it still cannot be applied", async () => {
    const { row, delivery } = await stuck();
    const error = refused(await replay(row.id), 422);
    expect(error.message).toContain("not in the catalogue");
    expect(await state(delivery.id)).toBe("exception");
    expect(await one(row.id)).toMatchObject({ state: "open" });
  });

  test("replay with what is no event is refused and changes nothing", async () => {
    const { event, row, delivery } = await stuck();
    for (const body of [{ sku: event.items[0].sku, quantity: 1 }, { ...event, items: "none" }])
      refused(await replay(row.id, body), 422);
    expect(await state(delivery.id)).toBe("exception");
    expect(await one(row.id)).toEqual(row);
  });

  test("a delivery can be replayed with the right item", async () => {
    const { event, row, delivery, sku } = await stuck();
    const right = await app.item(fresh("RIGHT"), { stock: 5 });
    const body = { ...event, items: [{ sku: right, quantity: 2 }] };
    const done = (await replay(row.id, body)).expect(201).data;
    expect(done).toMatchObject({ state: "resolved", resolved_by: "owner@default.example" });
    expect(JSON.parse(done.body)).toEqual(event);
    expect(await state(delivery.id)).toBe("applied");
    expect(await app.onHand(right)).toBe(3);
    await app.item(sku);
    await app.settled();
    expect(await app.onHand(sku)).toBe(0);
    const [move] = await app.moves(right);
    expect(move).toMatchObject({ source: "shipstation", actor: "shipstation" });
  });

  test("what it was corrected to is applied again, also by a replay of the delivery", async () => {
    const { event, row, delivery, sku } = await stuck();
    const right = await app.item(fresh("RIGHT"), { stock: 5 });
    (await replay(row.id, { ...event, items: [{ sku: right, quantity: 2 }] })).expect(201);
    for (let time = 0; time < 2; time++) {
      (await app.owner.post(`/api/v1/deliveries/${delivery.id}/replay`)).expect(200);
      await app.settled();
      expect(await state(delivery.id)).toBe("applied");
      expect(await one(row.id)).toMatchObject({ state: "resolved" });
    }
    expect(await app.onHand(right)).toBe(3);
    const raw = await app.owner.get(`/api/v1/deliveries/${delivery.id}/raw`);
    expect(JSON.parse(raw.expect(200).text)).toEqual(event);
    (await app.hook({ ...event, status: "voided" })).expect(200);
    await app.settled();
    expect(await app.onHand(right)).toBe(5);
    await app.item(sku);
    await app.settled();
    expect(await app.moves(sku)).toEqual([]);
  });

  test("dismissed is ignored, and stays so when the item appears", async () => {
    const { row, delivery, sku } = await stuck();
    (await dismiss(row.id, "sold by mistake")).expect(200);
    expect(await state(delivery.id)).toBe("ignored");
    await app.item(sku);
    await app.settled();
    expect(await state(delivery.id)).toBe("ignored");
    expect(await app.moves(sku)).toEqual([]);
  });

  test("the same event with other content cannot be replayed, only dismissed", async () => {
    const sku = await app.item(fresh("DIFFERS"), { stock: 9 });
    const event = shipment({ items: [{ sku, quantity: 2 }] });
    (await app.hook(event)).expect(200);
    (await app.hook({ ...event, items: [{ sku, quantity: 3 }] })).expect(200);
    await app.settled();
    const [row] = await list(`filter[text]=${sku}&filter[kind]=delivery`);
    expect(row.state).toBe("open");
    refused(await replay(row.id), 409);
    (await dismiss(row.id, "counted by hand")).expect(200);
    expect(await app.onHand(sku)).toBe(7);
  });

  test("every delivery in state exception is open here, and no other", async () => {
    await stuck();
    await app.settled();
    const deliveries = await app.owner.all("/api/v1/deliveries?filter[state]=exception");
    const rows = await list("filter[kind]=delivery&filter[state]=open");
    expect(rows.map(({ id }) => id).sort()).toEqual(deliveries.map(({ id }) => id).sort());
  });
});

describe("many at once", () => {
  const begin = (body) => app.owner.post(RUNS, body);
  const ended = (id) =>
    eventually(async () => {
      const run = (await app.owner.get(`${RUNS}/${id}`)).expect(200).data;
      expect(run.state).toBe("done");
      return run;
    });
  // n refused scans of one mark; all name a place that is not there.
  async function many(n, place = fresh("later")) {
    const mark = fresh("MANY");
    for (let at = 0; at < n; at += 500) {
      const size = Math.min(500, n - at);
      const row = (_, i) => ({ sku: `${mark}.${at + i}`, quantity: 1, location: place });
      (await scan(Array.from({ length: size }, row))).expect(200);
    }
    return { mark, place };
  }

  test("a preview counts and changes nothing; another count is a conflict", async () => {
    const { mark } = await many(3);
    const filter = { field: "location", text: mark };
    const preview = (await begin({ action: "replay", preview: true, ...filter })).expect(200).data;
    expect(preview).toMatchObject({ id: null, state: "preview", matched: 3, succeeded: 0, failed: 0 });
    refused(await begin({ action: "replay", expected: 4, ...filter }), 409);
    expect((await list(`filter[text]=${mark}`)).every(({ run_id }) => run_id === null)).toBe(true);
  });

  test("a few are replayed at once; those that are refused stay open and are listed", async () => {
    const { mark, place } = await many(3);
    (await scan([{ sku: `${mark}.bad`, quantity: -1 }])).expect(200);
    (await app.owner.post("/api/v1/places", { code: place, kind: "box" })).expect(201);
    const run = (await begin({ action: "replay", text: mark })).expect(201).data;
    expect(run).toMatchObject({ state: "done", matched: 4, succeeded: 3, failed: 1 });
    const left = await list(`filter[run_id]=${run.id}&filter[state]=open`);
    expect(left.map(({ body }) => JSON.parse(body).sku)).toEqual([`${mark}.bad`]);
    expect(await app.onHand(`${mark}.0`, place)).toBe(1);
    const again = (await begin({ action: "replay", text: mark })).expect(201).data;
    expect(again).toMatchObject({ succeeded: 0, failed: 1 });
    expect(await app.onHand(`${mark}.0`, place)).toBe(1);
  });

  test("one field is corrected for all that match, then all are replayed, in the background", async () => {
    const { mark, place } = await many(450);
    const run = (await begin({ action: "patch", text: mark, patch: { location: null } })).expect(201).data;
    expect(run).toMatchObject({ state: "running", matched: 450 });
    expect(await ended(run.id)).toMatchObject({ succeeded: 450, failed: 0 });
    const replayed = (await begin({ action: "replay", text: mark })).expect(201).data;
    expect(await ended(replayed.id)).toMatchObject({ matched: 450, succeeded: 450, failed: 0 });
    const rows = await list(`filter[text]=${mark}`);
    expect(rows.every(({ state, body }) => state === "resolved" && body.includes(place))).toBe(true);
    expect(await app.onHand(`${mark}.449`)).toBe(1);
  });

  test("all that match are dismissed", async () => {
    const { mark } = await many(2);
    refused(await begin({ action: "dismiss", text: mark }), 422, "reason");
    refused(await begin({ action: "replay", text: mark, reason: "x" }), 422, "reason");
    refused(await begin({ action: "patch", text: mark }), 422, "patch");
    refused(await begin({ action: "burn", text: mark }), 422, "action");
    const run = (await begin({ action: "dismiss", text: mark, reason: "a drill" })).expect(201).data;
    expect(run).toMatchObject({ state: "done", succeeded: 2 });
    const rows = await list(`filter[text]=${mark}`);
    expect(rows.map(({ state, resolution }) => [state, resolution])).toEqual([
      ["dismissed", "a drill"],
      ["dismissed", "a drill"],
    ]);
    const runs = await app.owner.all(RUNS);
    expect(runs[0].id).toBe(run.id);
    refused(await app.owner.get(`${RUNS}/nonsense`), 404);
  });
});

describe("entrepot exceptions", () => {
  const cli = (...args) => app.server.cli(["exceptions", ...args]);

  test("list, show, replay and dismiss", async () => {
    const [sku, other] = [fresh("CLI"), fresh("CLI")];
    const row = await kept({ sku, quantity: -1 });
    const second = await kept({ sku: other, quantity: -1 });
    expect((await cli("list")).stdout).toContain(row.id);
    expect((await cli("list", "--state", "dismissed")).stdout).not.toContain(row.id);
    expect((await cli("show", row.id)).stdout).toContain(sku);
    expect(await cli("replay", row.id)).toMatchObject({ status: 1 });
    (await patch(row.id, { quantity: 2 })).expect(200);
    expect(await cli("replay", row.id)).toMatchObject({ status: 0 });
    expect(await app.onHand(sku)).toBe(2);
    expect(await cli("dismiss", second.id)).toMatchObject({ status: 2 });
    expect(await cli("dismiss", second.id, "--reason", "a drill")).toMatchObject({ status: 0 });
    expect((await one(second.id)).resolved_by).toBe("operator");
    expect(await cli("show", "nonsense")).toMatchObject({ status: 2 });
    expect(await cli("show", "00000000-0000-7000-8000-000000000000")).toMatchObject({ status: 1 });
    expect(JSON.parse((await cli("show", row.id, "--json")).stdout).id).toBe(row.id);
  });
});
