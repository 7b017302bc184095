// Flags: a quantity that nobody knows, an item that is to be refilled; who cleared them, and what does.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const flag = (body, client = app.owner) => client.post("/api/v1/stock/flags", body);
const trail = async (sku) =>
  (await app.owner.all(`/api/v1/audit?filter[target]=${sku}`)).filter(({ action }) =>
    ["stock.unknown", "stock.known", "item.needs_refill", "item.refilled"].includes(action),
  );
const item = async (sku) => (await app.owner.get(`/api/v1/catalog/${sku}`)).expect(200).data;
const needsRefill = async (sku) => (await item(sku)).needs_refill;
const place = async () =>
  (await app.owner.post("/api/v1/places", { code: fresh("shelf"), kind: "box" })).expect(201).data.code;

async function count(at, lines) {
  const { id } = (await app.owner.post("/api/v1/counts", { place: at })).expect(201).data;
  (await app.owner.post(`/api/v1/counts/${id}/lines`, { lines })).expect(200);
  return id;
}

describe("S11 a quantity that is unknown", () => {
  test("is flagged at its place, listed, and told by whom and why", async () => {
    const sku = await app.item(fresh("UNSURE"), { stock: 4 });
    const clerk = await app.as("clerk");
    const body = { sku, place: "warehouse", unknown: true, reason: "fallen over" };
    const said = (await flag(body, clerk)).expect(200).data;
    expect(said).toMatchObject({ sku, place: "warehouse", unknown: true, needs_refill: false });
    expect(await app.level(sku)).toMatchObject({ on_hand: 4, unknown: true });
    expect(await app.level(sku, "supplier")).toMatchObject({ unknown: false });
    const listed = await app.owner.all(`/api/v1/stock?sku=${sku}&filter[unknown]=true`);
    expect(listed).toEqual([await app.level(sku)]);
    const both = `/api/v1/stock?sku=${sku}&filter[unknown]=true&filter[oversold]`;
    expect(await app.owner.all(`${both}=false`)).toEqual(listed);
    expect(await app.owner.all(`${both}=true`)).toEqual([]);
    const explained = (await app.owner.get(`/api/v1/stock/explain?sku=${sku}&place=warehouse`)).expect(200);
    expect(explained.data.on_hand).toBe(4);
    expect(await trail(sku)).toMatchObject([
      {
        action: "stock.unknown",
        actor: "clerk@default.example",
        after: { unknown: true, reason: "fallen over" },
      },
    ]);
  });

  test("said twice is said once; taken back by hand as well", async () => {
    const sku = await app.item(fresh("TWICE"));
    for (const unknown of [true, true, false, false])
      (await flag({ sku, place: "warehouse", unknown })).expect(200);
    expect((await trail(sku)).map(({ action }) => action).sort()).toEqual(["stock.known", "stock.unknown"]);
    expect(await app.level(sku)).toMatchObject({ on_hand: 0, unknown: false });
  });

  test("is known by an approved count that counted it, not by a receipt", async () => {
    const at = await place();
    const [counted, other] = [await app.item(fresh("COUNTED")), await app.item(fresh("OTHER"))];
    for (const sku of [counted, other]) {
      await app.receive(sku, 5, { place: at });
      (await flag({ sku, place: at, unknown: true })).expect(200);
      await app.receive(sku, 1, { place: at });
    }
    const id = await count(at, [{ sku: counted, quantity: 6 }]);
    expect(await app.level(counted, at)).toMatchObject({ unknown: true });
    (await app.owner.post(`/api/v1/counts/${id}/submit`)).expect(200);
    (await app.owner.post(`/api/v1/counts/${id}/approve`)).expect(200);
    expect(await app.level(counted, at)).toMatchObject({ on_hand: 6, unknown: false });
    expect(await app.level(other, at)).toMatchObject({ on_hand: 6, unknown: true });
    const known = (await trail(counted)).find(({ action }) => action === "stock.known");
    expect(known).toMatchObject({
      actor: "owner@default.example",
      after: { unknown: false, reason: "counted" },
    });
  });

  test("needs a place that holds stock, an item, and something to say", async () => {
    const sku = await app.item(fresh("BAD"));
    refused(await flag({ sku, unknown: true }), 422, "place");
    refused(await flag({ sku, place: "nowhere", unknown: true }), 422, "place");
    refused(await flag({ sku, place: "customer", unknown: true }), 422, "place");
    refused(await flag({ sku: "NOT-THERE", place: "warehouse", unknown: true }), 422, "sku");
    refused(await flag({ sku, place: "warehouse" }), 422, "unknown");
    const past = "/api/v1/stock?filter[unknown]=true&at=2026-01-01T00:00:00Z";
    refused(await app.owner.get(past), 422, "filter[unknown]");
    refused(await flag({ sku, place: "warehouse", unknown: true }, await app.as("viewer")), 403);
    refused(await flag({ sku, place: "warehouse", unknown: true }, await app.other()), 422, "sku");
  });

  test("is listed page by page in order", async () => {
    const at = await place();
    const skus = [];
    for (let i = 0; i < 5; i++) {
      skus.push(await app.item(fresh("PAGE")));
      (await flag({ sku: skus[i], place: at, unknown: true })).expect(200);
    }
    const rows = [];
    for (let cursor = ""; cursor !== null;) {
      const page = `/api/v1/stock?place=${at}&filter[unknown]=true&page_size=2`;
      const answer = (await app.owner.get(cursor ? `${page}&cursor=${cursor}` : page)).expect(200);
      rows.push(...answer.data);
      cursor = answer.json.page.next_cursor;
    }
    expect(rows.map(({ sku }) => sku)).toEqual(skus.toSorted());
  });
});

describe("S11 an item that needs a refill", () => {
  const REFILL = "/api/v1/catalog?filter[needs_refill]=true";
  const listed = async (sku) => (await app.owner.all(REFILL)).some((row) => row.sku === sku);

  test("is flagged by a clerk, listed, and cleared by a receipt from a supplier alone", async () => {
    const sku = await app.item(fresh("EMPTY"), { stock: 3 });
    expect(await needsRefill(sku)).toBe(false);
    const clerk = await app.as("clerk");
    const said = (await flag({ sku, needs_refill: true }, clerk)).expect(200).data;
    expect(said).toMatchObject({ needs_refill: true });
    expect(await listed(sku)).toBe(true);
    const move = { sku, quantity: 1, from: "warehouse", to: await place() };
    (await app.owner.post("/api/v1/stock/moves", move)).expect(201);
    expect(await needsRefill(sku)).toBe(true);
    await app.receive(sku, 10);
    expect(await needsRefill(sku)).toBe(false);
    expect(await listed(sku)).toBe(false);
    // What cleared it is the move, which stands in the trail itself.
    expect((await trail(sku)).map(({ action, actor }) => [action, actor])).toEqual([
      ["item.needs_refill", "clerk@default.example"],
    ]);
  });

  test("is cleared by a scan and by a booking of several as well", async () => {
    const [scanned, booked] = [await app.item(fresh("SCANNED")), await app.item(fresh("BOOKED"))];
    for (const sku of [scanned, booked]) (await flag({ sku, needs_refill: true })).expect(200);
    (await app.owner.post("/api/v1/catalog/ingest", { sku: scanned, quantity: 1 })).expect(201);
    expect(await needsRefill(scanned)).toBe(false);
    const lines = [{ sku: booked, quantity: 2 }];
    const booking = { lines, from: "supplier", to: "warehouse" };
    (await app.owner.post("/api/v1/stock/moves/bulk", booking)).expect(201);
    expect(await needsRefill(booked)).toBe(false);
  });

  test("is a field of the item, whose version grows", async () => {
    const sku = await app.item(fresh("FIELD"));
    const before = await app.owner.get(`/api/v1/catalog/${sku}`);
    (await flag({ sku, needs_refill: true })).expect(200);
    const stale = { headers: { "If-Match": before.headers.etag } };
    refused(await app.owner.patch(`/api/v1/catalog/${sku}`, { needs_refill: false }, stale), 412);
    (await app.owner.patch(`/api/v1/catalog/${sku}`, { needs_refill: false })).expect(200);
    expect(await needsRefill(sku)).toBe(false);
  });
});
