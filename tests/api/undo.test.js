// Undo: a move is taken back once, by a move in the opposite direction, unless later bookings depend on it.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const MOVES = "/api/v1/stock/moves";
const post = async (body) => (await app.owner.post(MOVES, { reason: "test", ...body })).expect(201).data;
const undo = (id, body, client = app.owner) => client.post(`${MOVES}/${id}/reverse`, body);

describe("S2 S10 undo", () => {
  test("of a booking is a linked opposite move, and again answers with the same one", async () => {
    const sku = await app.item(fresh("UNDO"), { stock: 9 });
    const move = await post({ sku, quantity: 4, from: "warehouse", to: "customer" });
    const back = (await undo(move.id, { reason: "wrong customer" })).expect(201).data;
    expect(back).toMatchObject({
      sku,
      quantity: 4,
      from: "customer",
      to: "warehouse",
      reason: "wrong customer",
      reverses: move.id,
    });
    expect(await app.onHand(sku)).toBe(9);
    expect((await undo(move.id)).expect(200).data).toEqual(back);
    expect((await undo(move.id, { reason: "another" })).expect(200).data).toEqual(back);
    expect(await app.onHand(sku)).toBe(9);
    expect(await app.moves(sku)).toHaveLength(3);
  });

  test("of a scan takes the goods off again; the same scan_id does not bring them back", async () => {
    const scan = { sku: fresh("SCAN"), quantity: 3, scan_id: fresh("scan") };
    const { move_id } = (await app.owner.post("/api/v1/catalog/ingest", scan)).expect(201).data;
    (await undo(move_id)).expect(201);
    expect(await app.onHand(scan.sku)).toBe(0);
    (await app.owner.post("/api/v1/catalog/ingest", scan)).expect(200);
    expect(await app.onHand(scan.sku)).toBe(0);
  });

  test("is refused, naming the bookings that depend on it, until these are undone", async () => {
    const sku = await app.item(fresh("DEPENDS"));
    const receipt = await post({ sku, quantity: 10, from: "supplier", to: "warehouse" });
    const first = await post({ sku, quantity: 3, from: "warehouse", to: "customer" });
    const second = await post({ sku, quantity: 4, from: "warehouse", to: "customer", source_ref: "web-12" });
    const error = refused(await undo(receipt.id), 409);
    expect(error.code).toBe("depended-on");
    expect(error.message).toContain("3 of");
    expect(error.details.map(({ field }) => field)).toEqual([second.id, first.id]);
    expect(error.details[0].problem).toMatch(/4 to customer .*web-12/);
    expect(await app.onHand(sku)).toBe(3);
    (await undo(second.id)).expect(201);
    expect(refused(await undo(receipt.id), 409).details.map(({ field }) => field)).toEqual([first.id]);
    (await undo(first.id)).expect(201);
    (await undo(receipt.id)).expect(201);
    expect(await app.onHand(sku)).toBe(0);
    expect(await app.onHand(sku, "supplier")).toBe(0);
  });

  test("is refused, naming the reservations that hold the goods", async () => {
    const sku = await app.item(fresh("HELD"));
    const receipt = await post({ sku, quantity: 6, from: "supplier", to: "warehouse" });
    const held = (await app.owner.post("/api/v1/stock/reservations", { sku, quantity: 2 })).expect(201).data;
    const error = refused(await undo(receipt.id), 409);
    expect(error.code).toBe("depended-on");
    expect(error.details).toEqual([{ field: held.id, problem: expect.stringContaining("2") }]);
    (await app.owner.post(`/api/v1/stock/reservations/${held.id}/void`)).expect(200);
    (await undo(receipt.id)).expect(201);
  });

  test("of an undo is refused", async () => {
    const sku = await app.item(fresh("UNDO"));
    const move = await post({ sku, quantity: 1, from: "supplier", to: "warehouse" });
    const back = (await undo(move.id)).expect(201).data;
    expect(refused(await undo(back.id), 409).message).toContain(move.id);
  });

  test("of what a service reported is refused: its own correction will come", async () => {
    const sku = await app.item(fresh("REPORTED"), { stock: 5 });
    (await app.hook(shipment({ items: [{ sku, quantity: 2 }] }))).expect(200);
    await app.settled();
    const [move] = await app.moves(sku);
    expect(refused(await undo(move.id), 409).message).toContain("shipstation");
    expect(await app.onHand(sku)).toBe(3);
  });

  test("of what is not there, or another's, is 404; of what is none, 422", async () => {
    const sku = await app.item(fresh("UNDO"));
    const move = await post({ sku, quantity: 1, from: "supplier", to: "warehouse" });
    refused(await undo("00000000-0000-7000-8000-000000000000"), 404);
    refused(await undo("nothing"), 404);
    refused(await undo(move.id, undefined, await app.other()), 404);
    refused(await undo(move.id, { reason: 5 }), 422, "reason");
    refused(await undo(move.id, { sku }), 422, "sku");
    refused(await undo(move.id, undefined, await app.as("viewer")), 403);
    (await undo(move.id, undefined, await app.as("clerk"))).expect(201);
  });
});

describe("S10 at once", () => {
  test("forty undos of one move take it back once", async () => {
    const sku = await app.item(fresh("RACE"));
    const move = await post({ sku, quantity: 5, from: "supplier", to: "warehouse" });
    const answers = await Promise.all(Array.from({ length: 40 }, () => undo(move.id)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const back = answers.find(({ status }) => status === 201).data;
    for (const answer of answers) if (answer.status !== 201) expect(answer.expect(200).data).toEqual(back);
    expect(await app.onHand(sku)).toBe(0);
    expect(await app.moves(sku)).toHaveLength(2);
  });

  test("an undo and a booking that needs the same goods: one of them happens", async () => {
    for (let i = 0; i < 10; i++) {
      const sku = await app.item(fresh("RACE"));
      const move = await post({ sku, quantity: 1, from: "supplier", to: "warehouse" });
      const [back, taken] = await Promise.all([
        undo(move.id),
        app.owner.post(MOVES, { sku, quantity: 1, from: "warehouse", to: "customer", reason: "test" }),
      ]);
      expect([back.status, taken.status].sort()).toEqual([201, 409]);
      expect(await app.onHand(sku)).toBe(0);
    }
  });
});

describe("S10 undo of one's own last booking or scan", () => {
  const UNDO = "/api/v1/stock/undo";

  test("takes back the newest first, then the one before it, and nobody else's", async () => {
    const sku = await app.item(fresh("LAST"));
    const clerk = await app.as("clerk");
    const scan = async (quantity) =>
      (await clerk.post("/api/v1/catalog/ingest", { sku, quantity })).expect(201).data.move_id;
    const first = await scan(3);
    const second = await scan(4);
    await app.receive(sku, 10);
    const undone = (await clerk.post(UNDO, { reason: "scanned twice" })).expect(201).data;
    expect(undone.moves).toMatchObject([{ sku, quantity: 4, reverses: second, reason: "scanned twice" }]);
    expect(await app.onHand(sku)).toBe(13);
    expect((await clerk.post(UNDO)).expect(201).data.moves).toMatchObject([{ reverses: first }]);
    expect(await app.onHand(sku)).toBe(10);
    refused(await clerk.post(UNDO), 409);
    refused(await (await app.as("viewer")).post(UNDO), 403);
    expect(await app.onHand(sku)).toBe(10);
  });

  test("takes back one of many moves that the same hands sent at once", async () => {
    const sku = await app.item(fresh("CROWD"));
    const clerk = await app.as("clerk");
    const move = { sku, quantity: 1, from: "supplier", to: "warehouse" };
    const sent = await Promise.all(Array.from({ length: 60 }, () => clerk.post("/api/v1/stock/moves", move)));
    const all = sent.map((answer) => answer.expect(201).data);
    expect(new Set(all.map(({ at }) => at)).size).toBe(60);
    expect((await clerk.post(UNDO)).expect(201).data.moves).toHaveLength(1);
    expect(await app.onHand(sku)).toBe(59);
  });

  test("takes back all moves of a booking, or none, saying what depends on it", async () => {
    const [a, b] = [await app.item(fresh("A")), await app.item(fresh("B"))];
    const clerk = await app.as("clerk");
    const lines = [
      { sku: a, quantity: 2 },
      { sku: b, quantity: 5 },
    ];
    const booking = { lines, from: "supplier", to: "warehouse" };
    (await clerk.post("/api/v1/stock/moves/bulk", booking)).expect(201);
    const taken = await post({ sku: b, quantity: 1, from: "warehouse", to: "customer" });
    const error = refused(await clerk.post(UNDO), 409);
    expect(error.code).toBe("depended-on");
    expect(error.details.map(({ field }) => field)).toEqual([taken.id]);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([2, 4]);
    (await undo(taken.id)).expect(201);
    expect((await clerk.post(UNDO)).expect(201).data.moves).toHaveLength(2);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([0, 0]);
  });
});
