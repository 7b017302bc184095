// An order's events: what is announced is reserved, and leaves, is given up or comes back; whatever the order
// of arrival, how often, and how many at once.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { SEED } from "../lib/random.js";
import { effectOf, orderOf, reservedOf, verdictsOf } from "../lib/shipments.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const STOCK = 1000;
const STATUSES = ["awaiting_shipment", "shipped", "cancelled", "voided", "returned"];

const numbers = async (sku) => {
  const { on_hand, reserved, available } = await app.level(sku);
  return [on_hand, reserved, available];
};
const send = async (event, status, items) =>
  (await app.hook({ ...event, status, items })).expect(200).json.status;
const orders = (event) => app.owner.all(`/api/v1/orders?filter[order_id]=${event.orderId}`);
async function sent(event, ...statuses) {
  for (const status of statuses) {
    await send(event, status, event.items);
    await app.settled();
  }
}
async function one(quantity, stock = STOCK) {
  const sku = await app.item(fresh("P"), { stock });
  return { sku, event: shipment({ items: [{ sku, quantity }] }) };
}

describe("C3 awaiting_shipment", () => {
  test("reserves, and shipped posts what was reserved", async () => {
    const { sku, event } = await one(4, 10);
    await sent(event, "awaiting_shipment");
    expect(await numbers(sku)).toEqual([10, 4, 6]);
    const [reservation] = await app.owner.all(`/api/v1/stock/reservations?sku=${sku}`);
    const source_ref = `${event.shipmentId}:awaiting_shipment`;
    expect(reservation).toMatchObject({ quantity: 4, state: "pending", source: "shipstation", source_ref });
    (await app.owner.post(`/api/v1/stock/reservations/${reservation.id}/post`)).expect(409);
    await sent(event, "shipped");
    expect(await numbers(sku)).toEqual([6, 0, 6]);
    const [posted] = await app.owner.all(`/api/v1/stock/reservations?sku=${sku}`);
    expect(posted).toMatchObject({ id: reservation.id, state: "posted", posted: 4 });
  });

  test("shipped with less, and without one of the items: the rest is available again", async () => {
    const skus = [await app.item(fresh("P"), { stock: 10 }), await app.item(fresh("P"), { stock: 10 })];
    const event = shipment();
    await send(
      event,
      "awaiting_shipment",
      skus.map((sku) => ({ sku, quantity: 4 })),
    );
    await app.settled();
    await send(event, "shipped", [{ sku: skus[0], quantity: 3 }]);
    await app.settled();
    expect(await numbers(skus[0])).toEqual([7, 0, 7]);
    expect(await numbers(skus[1])).toEqual([10, 0, 10]);
  });

  test("short: reserves what is there and is an exception that says how much", async () => {
    const { sku, event } = await one(5, 3);
    await sent(event, "awaiting_shipment");
    expect(await numbers(sku)).toEqual([3, 3, 0]);
    const delivery = await app.delivery(`${event.shipmentId}:awaiting_shipment`);
    expect(delivery).toMatchObject({ state: "exception" });
    expect(delivery.problem).toContain(`3 of 5 of ${sku}`);
    await sent(event, "shipped");
    expect(await numbers(sku)).toEqual([-2, 0, -2]);
    expect(await app.delivery(`${event.shipmentId}:awaiting_shipment`)).toMatchObject({ state: "applied" });
  });

  test("short: applied again once there is more, it reserves the rest and no more than that", async () => {
    const { sku, event } = await one(5, 3);
    await sent(event, "awaiting_shipment");
    const { id } = await app.delivery(`${event.shipmentId}:awaiting_shipment`);
    await app.receive(sku, 10);
    for (let i = 0; i < 2; i++) {
      expect((await app.owner.post(`/api/v1/deliveries/${id}/replay`)).status).toBeLessThan(300);
      await app.settled();
      expect(await numbers(sku)).toEqual([13, 5, 8]);
    }
    expect(await app.delivery(`${event.shipmentId}:awaiting_shipment`)).toMatchObject({ state: "applied" });
  });

  test("short: replayed with less than is held already, it holds that and is applied", async () => {
    const { sku, event } = await one(5, 3);
    await sent(event, "awaiting_shipment");
    const { id } = await app.delivery(`${event.shipmentId}:awaiting_shipment`);
    const body = { ...event, status: "awaiting_shipment", items: [{ sku, quantity: 2 }] };
    (await app.owner.post(`/api/v1/catalog/exceptions/${id}/replay`, body)).expect(201);
    expect(await numbers(sku)).toEqual([3, 2, 1]);
    await sent(event, "cancelled");
    expect(await numbers(sku)).toEqual([3, 0, 3]);
  });

  test("of an unknown item waits for the catalogue", async () => {
    const known = await app.item(fresh("P"), { stock: 5 });
    const sku = fresh("LATER");
    const items = [
      { sku: known, quantity: 2 },
      { sku, quantity: 2 },
    ];
    const event = shipment({ items });
    await sent(event, "awaiting_shipment");
    expect(await numbers(known)).toEqual([5, 2, 3]);
    await app.item(sku, { stock: 5 });
    await app.settled();
    expect(await numbers(known)).toEqual([5, 2, 3]);
  });

  test("what a person has voided is not reserved again", async () => {
    const { sku, event } = await one(4, 10);
    await sent(event, "awaiting_shipment");
    const [{ id }] = await app.owner.all(`/api/v1/stock/reservations?sku=${sku}`);
    (await app.owner.post(`/api/v1/stock/reservations/${id}/void`)).expect(200);
    await sent(event, "shipped");
    expect(await numbers(sku)).toEqual([6, 0, 6]);
  });
});

describe("C3 cancelled", () => {
  test("gives the reservation up; the order is cancelled", async () => {
    const { sku, event } = await one(4, 10);
    await sent(event, "awaiting_shipment", "cancelled");
    expect(await numbers(sku)).toEqual([10, 0, 10]);
    expect(await orders(event)).toMatchObject([{ status: "CANCELLED", lines: [{ sku, quantity: 4 }] }]);
    await sent(event, "awaiting_shipment");
    expect(await numbers(sku)).toEqual([10, 0, 10]);
  });

  test("after shipped, or before: an exception for a person, no move", async () => {
    for (const order of [
      ["shipped", "cancelled"],
      ["cancelled", "shipped"],
    ]) {
      const { sku, event } = await one(4, 10);
      await sent(event, ...order);
      expect(await numbers(sku)).toEqual([6, 0, 6]);
      const delivery = await app.delivery(`${event.shipmentId}:cancelled`);
      expect(delivery).toMatchObject({ state: "exception" });
      expect(delivery.problem).toContain("has left already");
    }
  });
});

// Of each shipment of the order: which events there are, how often each is sent, and what they say.
const line = fc.record({ item: fc.nat({ max: 2 }), quantity: fc.integer({ min: 1, max: 9 }) });
const lines = fc.uniqueArray(line, { selector: ({ item }) => item, minLength: 1, maxLength: 3 });
const parcel = fc.record({
  statuses: fc.uniqueArray(fc.constantFrom(...STATUSES), { minLength: 1 }),
  announced: lines,
  left: lines,
  back: lines,
});
const history = fc
  .array(parcel, { minLength: 1, maxLength: 3 })
  .chain((parcels) => {
    const events = parcels.flatMap(({ statuses }, i) => statuses.map((status) => [i, status]));
    const more = fc.array(fc.constantFrom(...events), { maxLength: 5 });
    return fc.record({ parcels: fc.constant(parcels), events: fc.constant(events), more });
  })
  .chain(({ parcels, events, more }) =>
    fc.record({
      parcels: fc.constant(parcels),
      order: fc.shuffledSubarray([...events, ...more], { minLength: events.length + more.length }),
      pace: fc.constantFrom("all at once", "one by one", "each settled"),
    }),
  );

const says = ({ announced, left, back }, status) =>
  ({ awaiting_shipment: announced, returned: back })[status] ?? left;
const sums = (list) => Object.fromEntries(list.map(({ item, quantity }) => [item, quantity]));
const known = (one) => ({
  awaiting: one.statuses.includes("awaiting_shipment") && sums(one.announced),
  shipped: one.statuses.includes("shipped") && sums(one.left),
  returned: one.statuses.includes("returned") && sums(one.back),
  cancelled: one.statuses.includes("cancelled"),
  voided: one.statuses.includes("voided"),
});

async function play({ parcels, order, pace }) {
  const skus = await Promise.all([0, 1, 2].map(() => app.item(fresh("Q"), { stock: STOCK })));
  const orderId = fresh("ORDER");
  const events = parcels.map(() => shipment({ orderId }));
  const one_event = ([i, status]) =>
    send(
      events[i],
      status,
      says(parcels[i], status).map(({ item, quantity }) => ({ sku: skus[item], quantity })),
    );
  if (pace === "all at once") await Promise.all(order.map(one_event));
  else
    for (const event of order) {
      await one_event(event);
      if (pace === "each settled") await app.settled();
    }
  await app.settled();
  return { skus, events };
}

async function judge({ parcels }, { skus, events }) {
  const change = [0, 0, 0],
    promised = [0, 0, 0];
  for (const one of parcels) {
    for (const [item, by] of Object.entries(effectOf(known(one)))) change[item] += by;
    for (const [item, by] of Object.entries(reservedOf(known(one)))) promised[item] += by;
  }
  for (const [item, sku] of skus.entries()) {
    const on_hand = STOCK + change[item];
    expect(await numbers(sku), `item ${item}`).toEqual([on_hand, promised[item], on_hand - promised[item]]);
    expect(await app.onHand(sku, "customer")).toBe(0 - change[item]);
  }
  const deliveries = new Map((await app.owner.all("/api/v1/deliveries")).map((row) => [row.event_id, row]));
  for (const [i, one] of parcels.entries())
    for (const status of one.statuses)
      expect(deliveries.get(`${events[i].shipmentId}:${status}`).state, `${i} ${status}`).toBe(
        verdictsOf(known(one))[status],
      );
  const [{ status, lines }] = await orders(events[0]);
  expect(status).toBe(orderOf(parcels.map(known)));
  const expected = parcels.flatMap((one, i) => {
    const said = known(one).shipped || known(one).awaiting || {};
    return Object.entries(said).map(
      ([item, quantity]) => `${events[i].shipmentId} ${skus[item]} ${quantity}`,
    );
  });
  const got = lines.map(({ shipment, sku, quantity }) => `${shipment} ${sku} ${quantity}`);
  expect(got.sort()).toEqual(expected.sort());
}

describe("C3 any order of an order's events, with repeats, of several shipments", () => {
  test(`ends the same (seed ${SEED})`, { timeout: 120_000 }, async () => {
    const property = fc.asyncProperty(history, async (one) => judge(one, await play(one)));
    await fc.assert(property, { seed: SEED, numRuns: Number(process.env.RUNS ?? 60) });
  });
});
