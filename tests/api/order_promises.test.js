// Orders of ShipStation reserve what they want; whatever else tells of the same order takes it over.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { SEED } from "../lib/random.js";
import { pacific, ShipStation } from "../lib/shipstation.js";
import { shipment } from "../lib/webhook.js";

const TOKEN = "a-token-of-the-default-organisation";
const MINUTE = 60_000;
let app, service;
beforeAll(async () => {
  service = await new ShipStation().start();
  app = new App();
  await app.launch(service.settings);
  for (const job of ["shipstation_sync", "promises.retry"])
    (await app.owner.patch(`/api/v1/schedules/${job}`, { paused: true })).expect(200);
}, 60_000);
afterAll(async () => {
  await app.finish();
  await service.stop();
}, 60_000);

let count = 0;
const run = (job, one = app) => one.server.cli(["jobs", "run", job]);
const numbers = async (sku, one = app) => {
  const { on_hand, reserved, available } = await one.level(sku);
  return [on_hand, reserved, available];
};
// A state of an order, minutes from now; each is listed under a batch of its own.
const order = (sku, changes = {}) => {
  const orderId = 700_000 + ++count;
  return {
    orderId,
    orderNumber: `OP-${orderId}`,
    orderStatus: "awaiting_shipment",
    createDate: pacific(Date.now()),
    modifyDate: pacific(Date.now() - 60 * MINUTE),
    items: [
      { sku, quantity: 4, adjustment: false },
      { sku: "DISCOUNT", quantity: 1, adjustment: true },
    ],
    ...changes,
  };
};
const later = (one, minutes, changes) => ({
  ...one,
  modifyDate: pacific(Date.now() + (minutes - 60) * MINUTE),
  ...changes,
});
async function notify(one) {
  const importBatch = `import-${++count}`;
  service.orders.push({ ...one, importBatch });
  const resource_url = `${service.url}/orders?importBatch=${importBatch}`;
  const body = JSON.stringify({ resource_url, resource_type: "ORDER_NOTIFY" });
  (await app.anonymous.post(`/webhooks/shipstation?token=${TOKEN}`, body)).expect(200);
  return `ORDER_NOTIFY ${resource_url}`;
}
const told = async (...states) => {
  for (const one of states) {
    const event = await notify(one);
    await app.settled();
    expect(await app.delivery(event)).toMatchObject({ state: "applied" });
  }
};
const item = (stock) => app.item(`PROMISED-${++count}`, { stock });
const record = async (one) =>
  (await app.owner.all(`/api/v1/orders?filter[order_id]=${one.orderNumber}`))[0];
const direct = async (one, status, quantity, shipmentId) => {
  const items = [{ sku: one.items[0].sku, quantity }];
  const event = { shipmentId, orderId: one.orderNumber, channel: undefined, status, items };
  (await app.hook(shipment(event))).expect(200);
  await app.settled();
};

describe("C3 an order of V1", () => {
  test("reserves; its label uses that; the order is listed with what was ordered", async () => {
    const sku = await item(10);
    const one = order(sku);
    await told(one);
    expect(await numbers(sku)).toEqual([10, 4, 6]);
    expect(await record(one)).toMatchObject({ status: "PAID", lines: [], ordered: [{ sku, quantity: 4 }] });
    const [held] = await app.owner.all(`/api/v1/stock/reservations?sku=${sku}`);
    const source_ref = `shipstation/${one.orderNumber}`;
    expect(held).toMatchObject({ source: "shipstation.order", source_ref, state: "pending", quantity: 4 });
    expect(held.order_id).toBe((await record(one)).id);
    await direct(one, "shipped", 3, `L-${++count}`);
    expect(await numbers(sku)).toEqual([7, 1, 6]);
    await direct(one, "shipped", 1, `L-${++count}`);
    expect(await numbers(sku)).toEqual([6, 0, 6]);
  });

  test("announced by the direct form as well, it is reserved once", async () => {
    for (const first of ["order", "direct form"]) {
      const sku = await item(10);
      const one = order(sku);
      if (first === "order") await told(one);
      await direct(one, "awaiting_shipment", 3, `A-${++count}`);
      if (first !== "order") await told(one);
      expect(await numbers(sku)).toEqual([10, 4, 6]);
    }
  });

  test("of another channel's order that is known already", async () => {
    const sku = await item(10);
    const one = order(sku);
    const items = [{ sku, quantity: 4 }];
    const event = shipment({ orderId: one.orderNumber, channel: "woot", status: "awaiting_shipment", items });
    (await app.hook(event)).expect(200);
    await app.settled();
    await told(one);
    expect(await numbers(sku)).toEqual([10, 4, 6]);
    expect(await app.owner.all(`/api/v1/orders?filter[order_id]=${one.orderNumber}`)).toHaveLength(1);
  });

  test("changed, cancelled, restored; what is older changes nothing", async () => {
    const sku = await item(10);
    const one = order(sku);
    const more = later(one, 1, { items: [{ sku, quantity: 6 }] });
    await told(more, one);
    expect(await numbers(sku)).toEqual([10, 6, 4]);
    await told(later(one, 2, { orderStatus: "cancelled" }));
    expect(await numbers(sku)).toEqual([10, 0, 10]);
    expect((await record(one)).status).toBe("CANCELLED");
    await told(later(one, 3, {}));
    expect(await numbers(sku)).toEqual([10, 4, 6]);
  });

  test.each([
    ["awaiting_payment", 0, "PENDING"],
    ["on_hold", 4, "PAID"],
    ["shipped", 0, "PAID"],
  ])("that is %s holds %i", async (orderStatus, held, status) => {
    const sku = await item(10);
    const one = order(sku, { orderStatus });
    await told(one);
    expect(await numbers(sku)).toEqual([10, held, 10 - held]);
    expect(await record(one)).toMatchObject({ status });
  });

  test("split in two of one number, both parts count", async () => {
    const sku = await item(10);
    const one = order(sku);
    await told(one, { ...one, orderId: one.orderId + 90_000_000, items: [{ sku, quantity: 2 }] });
    expect(await numbers(sku)).toEqual([10, 6, 4]);
  });

  test("a voided label gives its goods back to the order that still awaits them", async () => {
    const sku = await item(10);
    const one = order(sku);
    const label = `V-${++count}`;
    await told(one);
    await direct(one, "shipped", 4, label);
    await direct(one, "voided", 4, label);
    expect(await numbers(sku)).toEqual([10, 4, 6]);
    await direct(one, "shipped", 4, `V-${++count}`);
    expect(await numbers(sku)).toEqual([6, 0, 6]);
  });

  test("what a person gave up is not reserved again", async () => {
    const sku = await item(10);
    const one = order(sku);
    await told(one);
    const [{ id }] = await app.owner.all(`/api/v1/stock/reservations?sku=${sku}`);
    const voided = (await app.owner.post(`/api/v1/stock/reservations/${id}/void`)).expect(200).data;
    expect(voided.settled_by).toBe("owner@default.example");
    await told(later(one, 1, {}));
    expect(await numbers(sku)).toEqual([10, 0, 10]);
  });
});

describe("S4 short", () => {
  const open = async (one) => {
    const rows = await app.owner.all("/api/v1/deliveries?filter[source]=shipstation.order");
    return rows.find(({ event_id }) => event_id.startsWith(`order-${one.orderId}@`));
  };

  test("the earliest order is served first, by itself, once there is more", async () => {
    const sku = await item(3);
    const [first, second] = [order(sku), order(sku)];
    await told(first, second);
    expect(await numbers(sku)).toEqual([3, 3, 0]);
    expect(await open(first)).toMatchObject({ state: "exception" });
    expect((await open(first)).problem).toContain(`3 of 4 of ${sku}`);
    await app.receive(sku, 2);
    // One that comes between takes nothing that an earlier one lacks.
    const third = order(sku, { items: [{ sku, quantity: 1 }] });
    await told(third);
    expect(await run("promises.retry")).toMatchObject({ status: 0 });
    expect(await numbers(sku)).toEqual([5, 5, 0]);
    expect(await open(first)).toMatchObject({ state: "applied" });
    expect((await open(second)).problem).toContain(`1 of 4 of ${sku}`);
    await app.receive(sku, 10);
    expect(await run("promises.retry")).toMatchObject({ status: 0 });
    expect(await numbers(sku)).toEqual([15, 9, 6]);
    for (const one of [first, second, third]) expect(await open(one)).toMatchObject({ state: "applied" });
  });

  test("a shipment takes what its order holds, and the others hold no more than there is", async () => {
    const sku = await item(4);
    const one = order(sku, { orderStatus: "awaiting_payment" });
    const [a, b] = [`N-${++count}`, `N-${++count}`];
    await direct(one, "awaiting_shipment", 3, b);
    await direct(one, "awaiting_shipment", 3, a);
    await direct(one, "shipped", 3, a);
    expect(await numbers(sku)).toEqual([1, 1, 0]);
  });
});

// All that can be told of one order: its states, oldest first, and the statuses of its shipments.
const quantity = fc.integer({ min: 1, max: 6 });
const state = fc.record({
  orderStatus: fc.constantFrom("awaiting_shipment", "cancelled", "shipped", "awaiting_payment"),
  quantity,
});
const parcel = fc.record({
  statuses: fc.uniqueArray(fc.constantFrom("awaiting_shipment", "shipped", "cancelled", "voided")),
  announced: quantity,
  left: quantity,
});
const history = fc
  .record({
    stock: fc.integer({ min: 0, max: 9 }),
    states: fc.array(state, { minLength: 1, maxLength: 3 }),
    parcels: fc.array(parcel, { maxLength: 2 }),
  })
  .chain((one) => {
    const events = [
      ...one.states.map((_, i) => ["order", i]),
      ...one.parcels.flatMap(({ statuses }, i) => statuses.map((status) => [status, i])),
    ];
    const again = fc.array(fc.constantFrom(...events), { maxLength: 3 });
    return again.chain((more) => {
      const all = [...events, ...more];
      return fc.record({
        one: fc.constant(one),
        play: fc.shuffledSubarray(all, { minLength: all.length }),
        at_once: fc.boolean(),
      });
    });
  });

function expected({ stock, states, parcels }) {
  const newest = states.at(-1);
  const said = parcels.map(({ statuses, announced, left }) => {
    const is = (status) => statuses.includes(status);
    return {
      voided: is("voided"),
      left: is("shipped") && !is("voided"),
      cancelled: is("cancelled") && !is("shipped") && !is("voided"),
      awaits: is("awaiting_shipment") && statuses.length === 1,
      lines: is("shipped") ? left : is("awaiting_shipment") ? announced : 0,
    };
  });
  const sum = (list) => list.reduce((total, { lines }) => total + lines, 0);
  const left = said.filter((one) => one.left);
  const withdrawn = newest.orderStatus === "cancelled";
  const cancelled = left.length === 0 && (withdrawn || said.some((one) => one.cancelled));
  const wants = newest.orderStatus === "awaiting_shipment" && !cancelled ? newest.quantity : 0;
  const own = Math.max(0, wants - sum(said.filter((one) => !one.voided)));
  const announced = withdrawn ? 0 : sum(said.filter((one) => one.awaits));
  const on_hand = stock - sum(left);
  const reserved = Math.min(own + announced, Math.max(0, on_hand));
  return [on_hand, reserved, on_hand - reserved];
}

describe("C3 any order of all that is told of an order, with repeats, with stock or short of it", () => {
  test(`ends the same (seed ${SEED})`, { timeout: 150_000 }, async () => {
    const property = fc.asyncProperty(history, async ({ one, play, at_once }) => {
      const sku = await item(one.stock);
      const first = order(sku);
      const states = one.states.map(({ orderStatus, quantity }, i) =>
        later(first, i, { orderStatus, items: [{ sku, quantity }] }),
      );
      const ids = one.parcels.map(() => `Q-${++count}`);
      const tell = ([what, i]) => {
        if (what === "order") return notify(states[i]);
        const { announced, left } = one.parcels[i];
        const items = [{ sku, quantity: what === "awaiting_shipment" ? announced : left }];
        const event = { shipmentId: ids[i], orderId: first.orderNumber, channel: undefined, items };
        return app.hook(shipment({ ...event, status: what }));
      };
      if (at_once) await Promise.all(play.map(tell));
      else
        for (const event of play) {
          await tell(event);
          await app.settled();
        }
      await app.settled();
      expect(await numbers(sku)).toEqual(expected(one));
    });
    await fc.assert(property, { seed: SEED, numRuns: Number(process.env.RUNS ?? 40) });
  });
});

describe("W8 shipstation_sync finds orders", () => {
  test("by V1's key, once", async () => {
    const sku = await item(10);
    const one = order(sku, { modifyDate: pacific(Date.now() - MINUTE) });
    service.orders.push(one);
    for (let i = 0; i < 2; i++) {
      expect(await run("shipstation_sync")).toMatchObject({ status: 0 });
      await app.settled();
      expect(await numbers(sku)).toEqual([10, 4, 6]);
    }
    expect(service.requests.some(({ path }) => path.startsWith("/v2/"))).toBe(false);
  });

  test("with V2's key alone: orders reserve, labels leave once, voids come back; faults pass", async () => {
    const spare = await new ShipStation().start();
    const away = new App();
    await away.launch({ ...spare.settings, SHIPSTATION_API_KEY: "", SHIPSTATION_API_SECRET: "" });
    try {
      const sync = async (wanted, sku) => {
        expect(await run("shipstation_sync", away)).toMatchObject({ status: 0 });
        await away.settled();
        expect(await numbers(sku, away)).toEqual(wanted);
      };
      (await away.owner.patch("/api/v1/schedules/shipstation_sync", { paused: true })).expect(200);
      const sku = await away.item("BY-V2", { stock: 300 });
      const ago = (minutes) => new Date(Date.now() - minutes * MINUTE).toISOString();
      const made = Array.from({ length: 130 }, (_, i) => ({
        shipment_id: `se-${5000 + i}`,
        shipment_number: `TWO-${i}`,
        shipment_status: "pending",
        created_at: ago(50),
        modified_at: ago(40 - i / 10),
        items: [{ sku, quantity: 2 }],
      }));
      spare.v2_shipments.push(...made);
      spare.faults.push({ kind: "500", path: "/v2/" }, { kind: "html", path: "/v2/shipments" });
      await sync([300, 260, 40], sku);
      const label = {
        label_id: "se-1001",
        shipment_id: "se-5000",
        status: "completed",
        voided: false,
        is_return_label: false,
        created_at: ago(5),
      };
      spare.labels.push(label);
      Object.assign(made[0], { shipment_status: "label_purchased", modified_at: ago(4) });
      Object.assign(made[1], { shipment_status: "cancelled", modified_at: ago(3) });
      spare.faults.push({ kind: "429", path: "/v2/" }, { kind: "half", path: "/v2/labels" });
      for (let i = 0; i < 2; i++) await sync([298, 256, 42], sku);
      // The direct form, by either name.
      for (const shipmentId of ["se-1001", "1001", 1001]) {
        const event = shipment({ shipmentId, orderId: "TWO-0", items: [{ sku, quantity: 2 }] });
        const sent = (await away.hook(event)).expect(200);
        expect(sent.json.status).toBe("duplicate");
      }
      Object.assign(label, { voided: true, status: "voided", voided_at: ago(1) });
      for (let i = 0; i < 2; i++) await sync([300, 256, 44], sku);
    } finally {
      await away.finish();
      await spare.stop();
    }
  }, 90_000);
});

test("W8 se-1001 in the direct form is 1001, whichever comes first", async () => {
  for (const names of [
    ["se-880001", "880001"],
    [880002, "se-880002"],
  ]) {
    const sku = await item(10);
    const answers = [];
    for (const shipmentId of names) {
      const event = shipment({ shipmentId, orderId: `SE-${sku}`, items: [{ sku, quantity: 3 }] });
      answers.push((await app.hook(event)).expect(200).json.status);
    }
    expect(answers).toEqual(["ok", "duplicate"]);
    await eventually(async () => expect(await numbers(sku)).toEqual([7, 0, 7]));
  }
});
