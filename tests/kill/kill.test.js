// C4: SIGKILL at random moments under load. Nothing acknowledged is lost, nothing counts twice.
// KILLS is how often (20), SEED repeats what is sent and when the process is killed.
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { Ledger } from "../lib/ledger.js";
import { SEED, generator } from "../lib/random.js";
import { shipment } from "../lib/webhook.js";

const KILLS = Number(process.env.KILLS ?? 20);
const CONNECTIONS = 8;
const SKUS = ["K-1", "K-2", "K-3", "K-4"];
// Jobs that a killed process had begun wait on PostgreSQL until their leases run out.
const LEASE_MS = 90_000;
const LATE = "K-NOT-YET-THERE";

const app = new App();
let ledger;

// One caller: what it sends follows from its generator alone.
class Caller {
  shipments = [];
  sent = 0;

  constructor(number) {
    this.number = number;
    this.random = generator(SEED * 31 + number);
  }

  next() {
    const { random } = this;
    const ref = `${this.number}-${this.sent++}`;
    const choice = random.below(10);
    if (choice < 4) return this.shipped(ref);
    if (choice < 6 && this.shipments.length > 0) return this.laterStatus();
    const move = { sku: random.of(SKUS), quantity: random.between(1, 9), from: "supplier", to: "warehouse" };
    if (choice < 8) return { kind: "scan", ref, move };
    const out = choice === 8 ? { from: "warehouse", to: "customer" } : {};
    return { kind: "move", ref, move: { ...move, ...out } };
  }

  shipped(ref) {
    const { random } = this;
    const skus = random.chance(0.05) ? [...SKUS, LATE] : SKUS;
    const items = Array.from({ length: random.between(1, 4) }, () => ({
      sku: random.of(skus),
      quantity: random.between(1, 5),
    }));
    const event = { shipmentId: `S${ref}`, orderId: `O${ref}`, status: "shipped", items };
    this.shipments.push(event);
    return { kind: "event", ref: `${event.shipmentId}:shipped`, event };
  }

  // Of a shipment of its own that has not had this status yet; sometimes more comes back than was shipped.
  laterStatus() {
    const { random } = this;
    const of = random.of(this.shipments);
    const status = random.of(["voided", "returned", "returned"]);
    if (of[status]) return this.next();
    of[status] = true;
    const items = of.items.map(({ sku, quantity }) => ({
      sku,
      quantity: Math.max(1, quantity - random.below(2)),
    }));
    if (random.chance(0.1)) items[0].quantity += 50;
    const event = { shipmentId: of.shipmentId, orderId: of.orderId, status, items };
    return { kind: "event", ref: `${of.shipmentId}:${status}`, event };
  }
}

// Sends it; throws when no answer came. Gives what the answer means and what it showed.
async function send(operation) {
  const { kind, move, ref } = operation;
  if (kind === "event") {
    // A sender repeats the bytes that it sent before.
    operation.body ??= JSON.stringify(shipment(operation.event));
    const { status } = (await app.hook(operation.body)).expect(200).json;
    return { outcome: "done", repeated: status === "duplicate", shown: ref };
  }
  const answer =
    kind === "scan"
      ? await app.owner.post("/api/v1/catalog/ingest", {
          sku: move.sku,
          quantity: move.quantity,
          scan_id: ref,
        })
      : await app.owner.post("/api/v1/stock/moves", {
          ...move,
          reason: "load",
          source: "load",
          source_ref: ref,
        });
  if (kind === "move" && answer.status === 409 && answer.error.code === "insufficient-stock")
    return { outcome: "refused" };
  expect([200, 201], answer.text).toContain(answer.status);
  return {
    outcome: "done",
    repeated: answer.status === 200,
    shown: kind === "scan" ? answer.data.move_id : answer.data.id,
  };
}

async function deliver(operation) {
  const { outcome, shown } = await send(operation);
  operation.shown = shown;
  ledger.acknowledged(operation, outcome);
}

// What was acknowledged before must be known, whatever has happened since.
async function repeat(operation) {
  const { repeated, shown } = await send(operation);
  const what = "acknowledged once, but not known when it is sent again";
  expect({ ref: operation.ref, repeated, shown }, what).toEqual({
    ref: operation.ref,
    repeated: true,
    shown: operation.shown,
  });
}

const isFailure = (error) =>
  error.name === "AssertionError" || /^expected /.test(error.message) || /openapi/.test(error.message);

async function caller(self, state) {
  while (!state.killed) {
    try {
      if (self.random.chance(0.1) && ledger.done.length > 0) await repeat(self.random.of(ledger.done));
      else await deliver(ledger.planned(self.next()));
    } catch (error) {
      // After the kill answers do not come; before it they must.
      if (isFailure(error) || !state.killed) throw error;
    }
  }
}

// Retries what had no answer when it begins, as every sender does.
async function resend(state = { killed: false }) {
  for (const operation of [...ledger.open]) {
    if (state.killed) return;
    try {
      await deliver(operation);
    } catch (error) {
      if (isFailure(error) || !state.killed) throw error;
    }
  }
}

async function round(callers, moment) {
  const state = { killed: false };
  const load = Promise.all([resend(state), ...callers.map((self) => caller(self, state))]);
  await Promise.race([sleep(moment), load]);
  state.killed = true;
  await app.server.kill();
  await load;
  await app.pool.destroy();
}

async function restart() {
  await app.server.start();
  app.connect();
}

afterAll(() => app.finish());

test(`C4 ${KILLS} kills under load (SEED=${SEED})`, async () => {
  console.log(`kill test: SEED=${SEED} KILLS=${KILLS}`);
  await app.launch();
  ledger = new Ledger(path.join(app.server.folder, "acknowledged"));
  for (const sku of SKUS) await app.item(sku);
  const callers = Array.from({ length: CONNECTIONS }, (_, i) => new Caller(i));
  const random = generator(SEED);
  for (let i = 0; i < KILLS; i++) {
    await round(callers, random.between(5, 400));
    await restart();
  }
  await resend();
  await app.item(LATE);
  await app.settled(app.owner, LEASE_MS);
  await verify();
  ledger.close();
  console.log(`kill test: ${ledger.done.length} operations done`);
});

async function verify() {
  const deliveries = await app.owner.all("/api/v1/deliveries");
  const known = new Set(deliveries.map((row) => row.event_id));
  const events = ledger.done.filter(({ kind }) => kind === "event");
  expect(
    events.filter(({ ref }) => !known.has(ref)).map(({ ref }) => ref),
    "acknowledged events that are lost",
  ).toEqual([]);
  expect(deliveries.length, "events, each once").toBe(events.length);

  const moves = await app.owner.all("/api/v1/stock/moves");
  const keys = moves.map((m) => JSON.stringify([m.source, m.source_ref, m.sku, m.from, m.to]));
  const counted = Map.groupBy(keys, (key) => key);
  expect(
    [...counted.values()].filter((same) => same.length > 1),
    "moves that count twice",
  ).toEqual([]);
  const ids = new Set(moves.map(({ id }) => id));
  const others = ledger.done.filter(({ kind }) => kind !== "event");
  expect(
    others.filter(({ shown }) => !ids.has(shown)).map(({ ref }) => ref),
    "acknowledged moves that are lost",
  ).toEqual([]);

  await eventually(
    async () => {
      const rows = (await app.owner.all("/api/v1/stock")).filter((row) => row.on_hand !== 0);
      const levels = Object.fromEntries(rows.map((row) => [`${row.sku} ${row.place}`, row.on_hand]));
      expect(levels).toEqual(ledger.levels());
    },
  );
  expect(await app.server.cli(["ledger", "verify"]), "ledger verify beside the server").toMatchObject({
    status: 0,
  });
}
