// What a shipping event does to stock and orders, once and only once.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { tamper } from "../lib/database.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment, timestamp } from "../lib/webhook.js";

const app = useApp();
const ship = (sku, quantity, changes) => shipment({ items: [{ sku, quantity }], ...changes });
const ok = async (event) => expect((await app.hook(event)).expect(200).json).toEqual({ status: "ok" });
const duplicate = async (event) =>
  expect((await app.hook(event)).expect(200).json).toEqual({ status: "duplicate" });

describe("C3 C4 shipped", () => {
  test("moves from warehouse to customer, with its source", async () => {
    const sku = await app.item("SHIPPED", { stock: 10 });
    const event = ship(sku, 3);
    await ok(event);
    expect(await app.delivery(`${event.shipmentId}:shipped`)).toMatchObject({
      source: "shipstation",
      state: "applied",
      problem: null,
    });
    expect(await app.onHand(sku)).toBe(7);
    expect(await app.onHand(sku, "customer")).toBe(3);
    expect((await app.moves(sku))[0]).toMatchObject({
      sku,
      quantity: 3,
      from: "warehouse",
      to: "customer",
      source: "shipstation",
      source_ref: `${event.shipmentId}:shipped`,
      reverses: null,
    });
  });

  test("again is a duplicate that moves nothing", async () => {
    const sku = await app.item("AGAIN", { stock: 10 });
    const event = ship(sku, 3);
    await ok(event);
    await duplicate(event);
    await app.settled();
    await duplicate({ ...event, timestamp: timestamp(20), carrier: "DHL" });
    await app.settled();
    expect(await app.onHand(sku)).toBe(7);
    expect((await app.moves(sku)).length).toBe(2);
  });

  test("a hundred at once: one ok, ninety-nine duplicates, stock moved once", async () => {
    const sku = await app.item("HUNDRED", { stock: 1000 });
    const event = ship(sku, 7);
    const answers = await Promise.all(Array.from({ length: 100 }, () => app.hook(event)));
    const said = answers.map((answer) => answer.expect(200).json.status);
    expect(said.filter((status) => status === "ok").length).toBe(1);
    expect(said.filter((status) => status === "duplicate").length).toBe(99);
    await app.settled();
    expect(await app.onHand(sku)).toBe(993);
  });

  test("a hundred different ones at once are all applied", async () => {
    const sku = await app.item("CROWD", { stock: 100 });
    await Promise.all(Array.from({ length: 100 }, () => ok(ship(sku, 1))));
    await app.settled();
    expect(await app.level(sku)).toMatchObject({ on_hand: 0, oversold: false });
  });

  test("the same shipment and status with other items is set aside and has no effect", async () => {
    const sku = await app.item("DIFFERS", { stock: 10 });
    const event = ship(sku, 3);
    await ok(event);
    await app.settled();
    (await app.hook({ ...event, items: [{ sku, quantity: 5 }] })).expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(7);
    const rows = await app.owner.all("/api/v1/deliveries?filter[state]=exception");
    const kept = rows.filter((row) => row.event_id.startsWith(`${event.shipmentId}:shipped`));
    expect(kept.length).toBe(1);
    expect(kept[0].problem).toMatch(/\S/);
    await duplicate(event);
  });

  test("the same items in another order are the same event", async () => {
    const [a, b] = [await app.item("ORDER-A", { stock: 9 }), await app.item("ORDER-B", { stock: 9 })];
    const items = [
      { sku: a, quantity: 1 },
      { sku: b, quantity: 2 },
      { sku: a, quantity: 1 },
    ];
    const event = shipment({ items });
    await ok(event);
    await duplicate({
      ...event,
      items: [
        { sku: b, quantity: 2 },
        { sku: a, quantity: 2 },
      ],
    });
    await app.settled();
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([7, 7]);
  });

  test("of several lines, which the ledger has otherwise under its name, is an exception", async () => {
    const [a, b] = [await app.item("OTHER-A", { stock: 9 }), await app.item("OTHER-B", { stock: 9 })];
    const event = shipment({ items: [a, b].map((sku) => ({ sku, quantity: 2 })) });
    await ok(event);
    await app.settled();
    const name = `${event.shipmentId}:shipped`;
    const spoil = (statement) => tamper(app.server.env.DATABASE_URL, statement);
    const recorded = (quantity) =>
      spoil(
        `UPDATE stock_move SET quantity = ${quantity} WHERE sku = '${b}' AND source_ref = '${name}'`,
      );
    recorded(3);
    spoil(`UPDATE shipment SET shipped_done = FALSE WHERE shipment_ref = '${event.shipmentId}'`);
    const { id } = await app.delivery(name);
    (await app.owner.post(`/api/v1/deliveries/${id}/replay`)).expect(200);
    await app.settled();
    const kept = await app.delivery(name);
    expect(kept).toMatchObject({ state: "exception", problem: expect.stringContaining("other moves") });
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([7, 7]);
    recorded(2);
  });

  test("an event of many lines is applied whole", async () => {
    const skus = await Promise.all(Array.from({ length: 12 }, (_, i) => app.item(`MANY-${i}`, { stock: 5 })));
    await ok(shipment({ items: skus.map((sku) => ({ sku, quantity: 2 })).reverse() }));
    await app.settled();
    expect(await Promise.all(skus.map((sku) => app.onHand(sku)))).toEqual(skus.map(() => 3));
  });
});

describe("C3 a later status is a new event", () => {
  test("shipped, then returned", async () => {
    const sku = await app.item("RETURNED", { stock: 10 });
    const event = ship(sku, 4);
    await ok(event);
    await ok({ ...event, status: "returned", items: [{ sku, quantity: 1 }] });
    await app.settled();
    expect(await app.onHand(sku)).toBe(7);
    expect(await app.onHand(sku, "customer")).toBe(3);
    expect((await app.moves(sku)).map((move) => move.source_ref)).toContain(`${event.shipmentId}:returned`);
  });

  test("shipped, then voided: exactly what was shipped comes back, as reversing moves", async () => {
    const sku = await app.item("VOIDED", { stock: 10 });
    const event = ship(sku, 4);
    await ok(event);
    await app.settled();
    await ok({ ...event, status: "voided" });
    await app.settled();
    expect(await app.onHand(sku)).toBe(10);
    expect(await app.onHand(sku, "customer")).toBe(0);
    const [back, out] = await app.moves(sku);
    expect(back).toMatchObject({ from: "customer", to: "warehouse", quantity: 4, reverses: out.id });
  });

  test("voided before shipped: the shipped one moves nothing", async () => {
    const sku = await app.item("VOID-FIRST", { stock: 10 });
    const event = ship(sku, 4);
    await ok({ ...event, status: "voided" });
    await app.settled();
    await ok(event);
    await app.settled();
    expect(await app.onHand(sku)).toBe(10);
    expect((await app.moves(sku)).length).toBe(1);
  });

  test("more returned than shipped is an exception", async () => {
    const sku = await app.item("TOO-MUCH-BACK", { stock: 10 });
    const event = ship(sku, 2);
    await ok(event);
    await ok({ ...event, status: "returned", items: [{ sku, quantity: 3 }] });
    const kept = await app.delivery(`${event.shipmentId}:returned`);
    expect(kept.state).toBe("exception");
    expect(kept.problem).toMatch(/\S/);
    expect(await app.onHand(sku)).toBe(8);
  });

  test.each(["awaiting_shipment", "cancelled"])(
    "%s is recorded and takes nothing from the warehouse",
    async (status) => {
      const sku = await app.item(`RECORDED-${status}`, { stock: 10 });
      const event = ship(sku, 4, { status });
      await ok(event);
      await duplicate(event);
      expect((await app.delivery(`${event.shipmentId}:${status}`)).state).not.toBe("pending");
      expect(await app.onHand(sku)).toBe(10);
    },
  );
});

describe("C3 S1 a SKU that the catalogue does not have", () => {
  test("is kept as an exception and applied by itself when the item appears", async () => {
    const sku = "NOT-YET-THERE";
    const event = ship(sku, 2);
    await ok(event);
    const kept = await app.delivery(`${event.shipmentId}:shipped`);
    expect(kept.state).toBe("exception");
    expect(kept.problem).toContain(sku);
    await duplicate(event);
    await app.item(sku);
    await app.settled();
    await expect.poll(async () => (await app.delivery(`${event.shipmentId}:shipped`)).state).toBe("applied");
    expect(await app.level(sku)).toMatchObject({ on_hand: -2, oversold: true });
  });

  test("appears by a scan as well", async () => {
    const sku = "BY-A-SCAN";
    const event = ship(sku, 2);
    await ok(event);
    await app.settled();
    (await app.owner.post("/api/v1/catalog/ingest", { sku, quantity: 5 })).expect(201);
    await expect.poll(() => app.onHand(sku)).toBe(3);
  });

  test("holds back the whole event, and each missing one must come", async () => {
    const known = await app.item("KNOWN-ONE", { stock: 5 });
    const event = shipment({ items: [known, "MISSING-1", "MISSING-2"].map((sku) => ({ sku, quantity: 1 })) });
    await ok(event);
    await app.settled();
    expect(await app.onHand(known)).toBe(5);
    await app.item("MISSING-1");
    await app.settled();
    expect(await app.onHand(known)).toBe(5);
    await app.item("MISSING-2");
    await expect.poll(() => app.onHand(known)).toBe(4);
    await app.settled();
    expect([await app.onHand("MISSING-1"), await app.onHand("MISSING-2")]).toEqual([-1, -1]);
  });

  test("ten shipments wait for one SKU: all are applied", async () => {
    const sku = "LONG-AWAITED";
    await Promise.all(Array.from({ length: 10 }, () => ok(ship(sku, 1))));
    await app.settled();
    await app.item(sku);
    await expect.poll(() => app.onHand(sku)).toBe(-10);
  });

  test("waits through a later status too", async () => {
    const sku = "WAITS-AND-RETURNS";
    const event = ship(sku, 3);
    await ok(event);
    await ok({ ...event, status: "returned", items: [{ sku, quantity: 1 }] });
    await app.settled();
    await app.item(sku);
    await expect.poll(() => app.onHand(sku)).toBe(-2);
  });
});

describe("S4 a shipment beyond stock", () => {
  test("is recorded, flagged, and receipts clear the flag", async () => {
    const sku = await app.item("BEYOND", { stock: 3 });
    const event = ship(sku, 5);
    await ok(event);
    expect((await app.delivery(`${event.shipmentId}:shipped`)).state).toBe("applied");
    expect(await app.level(sku)).toMatchObject({ on_hand: -2, available: -2, oversold: true });
    await app.receive(sku, 1);
    expect(await app.level(sku)).toMatchObject({ on_hand: -1, oversold: true });
    await app.receive(sku, 1);
    expect(await app.level(sku)).toMatchObject({ on_hand: 0, oversold: false });
  });

  test("does not let a request take what is not there", async () => {
    const sku = await app.item("BEYOND-2", { stock: 1 });
    await ok(ship(sku, 5));
    await app.settled();
    const move = { sku, quantity: 1, from: "warehouse", to: "adjustment", reason: "count" };
    expect(refused(await app.owner.post("/api/v1/stock/moves", move), 409).code).toBe("insufficient-stock");
  });
});

describe("C3 order records", () => {
  const find = async (channel, order_id) =>
    (await app.owner.all("/api/v1/orders")).find(
      (row) => row.channel === channel && row.order_id === order_id,
    );

  test("a shipment writes its order with lines", async () => {
    const sku = await app.item("ORDERED", { stock: 9 });
    const event = ship(sku, 2, { channel: "amazon", orderId: fresh("ORD") });
    await ok(event);
    await app.settled();
    const row = await find("amazon", event.orderId);
    expect(row.status).toBe("SHIPPED");
    expect(Number.isNaN(Date.parse(row.ordered_at))).toBe(false);
    const whole = (await app.owner.get(`/api/v1/orders/${row.id}`)).expect(200).data;
    expect(whole.lines).toHaveLength(1);
    expect(whole.lines[0]).toMatchObject({ sku, quantity: 2 });
  });

  test("two shipments of one order make one order", async () => {
    const sku = await app.item("ORDERED-TWICE", { stock: 9 });
    const orderId = fresh("ORD");
    await Promise.all([ok(ship(sku, 1, { orderId })), ok(ship(sku, 2, { orderId }))]);
    await app.settled();
    const row = await find("woot", orderId);
    const { lines } = (await app.owner.get(`/api/v1/orders/${row.id}`)).expect(200).data;
    expect(lines.reduce((sum, line) => sum + line.quantity, 0)).toBe(3);
  });

  test("the same order id of two channels is two orders", async () => {
    const orderId = fresh("ORD");
    await ok(ship("TEST-SKU-001", 1, { orderId, channel: "woot" }));
    await ok(ship("TEST-SKU-001", 1, { orderId, channel: "ebay" }));
    await app.settled();
    expect((await find("woot", orderId)).id).not.toBe((await find("ebay", orderId)).id);
  });

  test.each([
    ["awaiting_shipment", "PAID"],
    ["cancelled", "CANCELLED"],
  ])("%s makes it %s", async (status, state) => {
    const event = ship("TEST-SKU-001", 1, { status });
    await ok(event);
    await app.settled();
    expect((await find("woot", event.orderId)).status).toBe(state);
  });
});
