// W8: SIGKILL at random moments of shipstation_sync. In the end all is as after a run that nobody disturbed.
// KILLS and SEED as in kill.test.js.
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { SEED, generator } from "../lib/random.js";
import { pacific, ShipStation } from "../lib/shipstation.js";

const ROUNDS = Math.ceil(Number(process.env.KILLS ?? 20) / 3);
const SKUS = ["Y-1", "Y-2", "Y-3"];
const STOCK = 10_000;
const HOUR = 3_600_000;
// What a killed process was running waits on PostgreSQL until its lease runs out.
const LEASE_MS = 90_000;

const random = generator(SEED);
const service = new ShipStation();
const disturbed = new App();
const calm = new App();
afterAll(async () => {
  await disturbed.finish();
  await calm.finish();
  await service.stop();
}, 120_000);

// A year's worth of oddities in a day: voids, discounts, unreadable records, orders without a label.
function fill() {
  const created = (i) => pacific(Date.now() - 20 * HOUR + i * 20_000);
  for (let i = 0; i < 1_500; i++) {
    const items = [
      { sku: random.of(SKUS), quantity: random.between(1, 4), adjustment: false },
      { sku: "DISCOUNT", quantity: 1, adjustment: true },
    ];
    const voided = random.chance(0.1) ? { voided: true, voidDate: pacific(Date.now() - HOUR) } : {};
    const odd = random.chance(0.01) ? { shipmentItems: [{ sku: "no sku", quantity: 1 }] } : {};
    service.shipment({ shipmentItems: items, createDate: created(i), ...voided, ...odd });
  }
  for (let i = 0; i < 20; i++) {
    const order = { orderId: 40_000 + i, orderNumber: `F-${i}` };
    service.orders.push({ ...order, items: [{ sku: random.of(SKUS), quantity: 2, adjustment: false }] });
    service.fulfillments.push({
      ...order,
      fulfillmentId: 30_000 + i,
      createDate: created(i),
      voided: false,
      voidDate: null,
    });
  }
}

async function ready(app) {
  await app.launch({ ...service.settings, RATE_LIMIT: "0" });
  (await app.owner.patch("/api/v1/schedules/shipstation_sync", { paused: true })).expect(200);
  for (const sku of SKUS) await app.item(sku, { stock: STOCK });
}

const begin = (app) => app.owner.post("/api/v1/schedules/shipstation_sync/run");
async function idle(app) {
  const check = async () => {
    const live = await app.owner.all("/api/v1/jobs");
    expect(live.filter(({ name }) => /^(shipstation|inbox)/.test(name))).toEqual([]);
  };
  await eventually(check, { within: LEASE_MS });
  await app.settled(app.owner, LEASE_MS);
}

// What a sync leaves behind, without times and ids.
async function state(app) {
  const levels = await Promise.all(SKUS.map((sku) => app.level(sku)));
  const moves = (await app.owner.all("/api/v1/stock/moves"))
    .filter(({ source }) => source === "shipstation")
    .map(({ source_ref, sku, quantity, from, to }) => `${source_ref} ${sku} ${quantity} ${from} ${to}`);
  const orders = (await app.owner.all("/api/v1/orders")).map(
    ({ order_id, status, lines }) => `${order_id} ${status} ${JSON.stringify(lines)}`,
  );
  const deliveries = (await app.owner.all("/api/v1/deliveries")).map(
    (row) => `${row.source} ${row.event_id} ${row.state} ${row.problem}`,
  );
  return { levels, moves: moves.sort(), orders: orders.sort(), deliveries: deliveries.sort() };
}

test(`W8 shipstation_sync, killed ${ROUNDS} times (SEED=${SEED})`, async () => {
  await service.start();
  fill();
  await ready(calm);
  (await begin(calm)).expect(201);
  await idle(calm);
  const wanted = await state(calm);
  expect(wanted.orders.length).toBeGreaterThan(1_450); // records that nobody can read make none

  await ready(disturbed);
  service.delay = 150; // so that a run takes longer than a life
  let between = 0;
  for (let i = 0; i < ROUNDS; i++) {
    await begin(disturbed); // refused while the one before is still known
    await sleep(random.between(100, 900));
    await disturbed.server.kill();
    await disturbed.pool.destroy();
    await disturbed.server.start();
    disturbed.connect();
    const known = (await disturbed.owner.all("/api/v1/orders")).length;
    between += known > 0 && known < wanted.orders.length;
  }
  expect(between, "kills with a part of it done").toBeGreaterThan(0);
  await idle(disturbed);
  await begin(disturbed);
  await idle(disturbed);
  expect(await state(disturbed)).toEqual(wanted);
}, 400_000);
