// Sixteen clients do whatever the ledger offers, at random; in the end every level is what an independent
// replay of the moves and of the pending reservations comes to. OPERATIONS=1000000 for a long run, DEPTH=8
// for as many requests of each client at once, SEED=n to repeat what was sent.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { SEED, generator } from "../lib/random.js";
import { timestamp } from "../lib/webhook.js";

const app = useApp();
const OPERATIONS = Number(process.env.OPERATIONS ?? 4000);
const CLIENTS = 16;
const DEPTH = Number(process.env.DEPTH ?? 1);
const PLACES = ["warehouse", "box-1", "box-2", "supplier", "customer", "adjustment"];
const BOUNDED = PLACES.slice(0, 3);
const REQUESTED = Array.from({ length: 12 }, (_, i) => `ASKED-${i}`); // only requests touch these
const REPORTED = Array.from({ length: 12 }, (_, i) => `TOLD-${i}`); // facts as well, which may oversell
const SKUS = [...REQUESTED, ...REPORTED];
const STATUSES = ["awaiting_shipment", "shipped", "cancelled", "voided", "returned"];

const post = (target, body) => app.owner.post(target, body, { checked: false });

// One client: keeps what it was given, to post, void and reverse it later.
class Caller {
  held = [];

  constructor(number) {
    this.number = number;
    this.random = generator(SEED + number);
  }

  // Which answers each operation may get; anything else is a failure.
  operations = [
    [30, () => this.move(), [200, 201, 409]],
    [10, () => this.receive(), [201]],
    [8, () => this.bulk(), [200, 201, 409]],
    [22, () => this.reserve(), [200, 201, 409]],
    [14, () => this.settle("post"), [200, 409]],
    [10, () => this.settle("void"), [200, 409]],
    [20, () => this.report(), [200]],
  ];

  async step() {
    const total = this.operations.reduce((sum, [weight]) => sum + weight, 0);
    let n = this.random.below(total);
    const [, run, allowed] = this.operations.find(([weight]) => (n -= weight) < 0);
    const answer = await run();
    if (answer && !allowed.includes(answer.status))
      throw new Error(`${run} got ${answer.status}: ${answer.text}`);
    return answer?.status ?? 0;
  }

  line(most) {
    const from = this.random.of(PLACES);
    const to = this.random.of(PLACES.filter((place) => place !== from));
    return { sku: this.random.of(SKUS), quantity: this.random.between(1, most), from, to };
  }

  // One in ten has been sent before, by this client or another one.
  ref() {
    if (this.random.chance(0.5)) return {};
    return { source_ref: `R-${this.random.below(OPERATIONS)}` };
  }

  move() {
    const ref = this.ref();
    return post("/api/v1/stock/moves", { ...this.line(20), ...ref, reason: "random", source: "random" });
  }

  receive() {
    const [sku, to] = [this.random.of(SKUS), this.random.of(BOUNDED)];
    const quantity = this.random.between(1, 40);
    return post("/api/v1/stock/moves", { sku, quantity, from: "supplier", to, reason: "receipt" });
  }

  bulk() {
    const lines = Array.from({ length: this.random.between(1, 6) }, () => this.line(8));
    return post("/api/v1/stock/moves/bulk", { lines, reason: "tidied", source: "bulk", ...this.ref() });
  }

  async reserve() {
    const body = {
      sku: this.random.of(SKUS),
      quantity: this.random.between(1, 10),
      place: this.random.of(BOUNDED),
    };
    if (this.random.chance(0.3)) body.expires_at = timestamp(this.random.between(1, 3));
    const answer = await post("/api/v1/stock/reservations", { ...body, ...this.ref() });
    if (answer.status === 201) this.held.push(answer.data.id);
    return answer;
  }

  settle(how) {
    if (this.held.length === 0) return null;
    const id = this.random.of(this.held);
    if (this.random.chance(0.7)) this.held.splice(this.held.indexOf(id), 1);
    return post(`/api/v1/stock/reservations/${id}/${how}`);
  }

  report() {
    const id = this.random.below(Math.ceil(OPERATIONS / 20) + 5);
    const items = [
      { sku: REPORTED[id % REPORTED.length], quantity: 1 + (id % 5) },
      { sku: REPORTED[(id + 5) % REPORTED.length], quantity: 1 + (id % 3) },
    ];
    const event = { shipmentId: `RS-${id}`, orderId: `RO-${id >> 1}`, channel: "woot" };
    return app.hook({ ...event, status: this.random.of(STATUSES), timestamp: timestamp(), items });
  }
}

async function prepare() {
  for (const code of ["box-1", "box-2"])
    (await app.owner.post("/api/v1/places", { code, kind: "box" })).expect(201);
  for (const sku of SKUS) await app.item(sku, { stock: 100 });
}

async function replay() {
  const levels = new Map();
  const add = (sku, place, by) => levels.set(`${sku} ${place}`, (levels.get(`${sku} ${place}`) ?? 0) + by);
  const moves = await app.owner.all("/api/v1/stock/moves");
  for (const { sku, quantity, from, to } of moves) {
    add(sku, from, -quantity);
    add(sku, to, quantity);
  }
  return { levels, moves: moves.length };
}

async function pending() {
  const reserved = new Map();
  for (const { sku, place, quantity } of await app.owner.all(
    "/api/v1/stock/reservations?filter[state]=pending",
  ))
    reserved.set(`${sku} ${place}`, (reserved.get(`${sku} ${place}`) ?? 0) + quantity);
  return reserved;
}

describe("S2 S3 S4 S10 random operations", () => {
  const name = `${OPERATIONS} from ${CLIENTS} clients end as a replay says (seed ${SEED})`;
  test(name, { timeout: 60_000 + 3 * OPERATIONS }, async () => {
    await prepare();
    const statuses = {};
    let left = OPERATIONS;
    const begun = Date.now();
    const callers = Array.from({ length: CLIENTS }, (_, number) => new Caller(number));
    const client = async (number) => {
      for (; left-- > 0;) {
        const status = await callers[number].step();
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    };
    const each = (_, i) => client(i % CLIENTS);
    await Promise.all(Array.from({ length: CLIENTS * DEPTH }, each));
    const seconds = (Date.now() - begun) / 1000;
    await app.settled(app.owner, 120_000);
    const rest = async () => {
      const rows = await app.owner.all("/api/v1/stock/reservations?filter[state]=pending");
      expect(rows.filter(({ expires_at }) => expires_at)).toEqual([]);
    };
    await eventually(rest, { within: 60_000, every: 500 });

    const { levels, moves } = await replay();
    const reserved = await pending();
    const rows = (await app.owner.all("/api/v1/stock")).filter(({ sku }) => SKUS.includes(sku));
    for (const { sku, place, on_hand, ...row } of rows) {
      const key = `${sku} ${place}`;
      expect(on_hand, key).toBe(levels.get(key) ?? 0);
      expect(row.reserved, key).toBe(reserved.get(key) ?? 0);
      expect(row.available, key).toBe(on_hand - row.reserved);
      const short = BOUNDED.includes(place) && on_hand < row.reserved;
      expect(row.oversold, key).toBe(short);
      if (REQUESTED.includes(sku)) expect(short, key).toBe(false);
      levels.delete(key);
    }
    expect([...levels].filter(([key]) => SKUS.includes(key.split(" ")[0]))).toEqual([]);
    const per = Math.round(OPERATIONS / seconds);
    console.log(`${OPERATIONS} operations, ${per}/s, ${moves} moves, answers ${JSON.stringify(statuses)}`);
  });
});
