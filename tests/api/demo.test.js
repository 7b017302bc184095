// W12 The demo company: made once, whole, the same each time, and in agreement with itself.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { sleep } from "../lib/eventually.js";
import { Server } from "../lib/server.js";

// The year ends with the day of the load: two loads of one test are of one day, also over midnight.
const clock = new Clock(`${new Date().toISOString().slice(0, 10)}T12:00:00Z`);
const app = useApp(clock.settings);
const LONG = 120_000;
const seed = (...args) => app.server.cli(["seed", "--demo", "--json", ...args], { within: LONG });
const day = (n) => clock.in(-n * 86_400);
let owner, loaded;

beforeAll(async () => {
  loaded = await seed("--org", "Demo Company");
  expect(loaded).toMatchObject({ status: 0, stderr: "" });
  await app.addOwner("owner@demo.example", "Demo Company");
  owner = await app.login("owner@demo.example");
}, LONG);

// Adds up the moves that were recorded up to an instant: {"SKU place": quantity}.
function replay(moves, at = "9999") {
  const levels = {};
  const add = (sku, place, quantity) => {
    levels[`${sku} ${place}`] = (levels[`${sku} ${place}`] ?? 0) + quantity;
  };
  for (const move of moves.filter((m) => Date.parse(m.at) <= Date.parse(at) || at === "9999")) {
    add(move.sku, move.from, -move.quantity);
    add(move.sku, move.to, move.quantity);
  }
  return levels;
}
const nonzero = (entries) => Object.fromEntries(entries.filter(([, n]) => n !== 0));
const levelsOf = (rows) => nonzero(rows.map((row) => [`${row.sku} ${row.place}`, row.on_hand]));

describe("W12 seed --demo", () => {
  test("a few thousand items of every kind, and a year of moves, orders and deliveries", async () => {
    const added = JSON.parse(loaded.stdout);
    expect(added.items).toBeGreaterThan(2000);
    expect(added.moves).toBeGreaterThan(10_000);
    expect(added.deliveries).toBeGreaterThan(5000);
    const items = await owner.all("/api/v1/catalog");
    for (const kind of ["product", "part", "garment"])
      expect(items.filter((item) => item.kind === kind).length, kind).toBeGreaterThan(200);
    for (const item of items) expect(item.sku).toMatch(/^DEMO-|^TEST-SKU-001$/);
    const oldest = Date.parse((await owner.all("/api/v1/stock/moves?sku=DEMO-PALLET")).at(-1).at);
    expect(oldest).toBeLessThan(clock.now(-363 * 86_400));
    for (const status of ["SHIPPED", "CANCELLED", "PAID"]) {
      const page = await owner.get(`/api/v1/orders?filter[status]=${status}&page_size=1`);
      expect(page.expect(200).data, status).toHaveLength(1);
    }
    for (const state of ["applied", "exception"]) {
      const page = await owner.get(`/api/v1/deliveries?filter[state]=${state}&page_size=1`);
      expect(page.expect(200).data, state).toHaveLength(1);
    }
    for (const state of ["pending", "posted", "voided"]) {
      const page = await owner.get(`/api/v1/stock/reservations?filter[state]=${state}&page_size=1`);
      expect(page.expect(200).data, state).toHaveLength(1);
    }
  });

  test("exceptions of each kind, oversold levels, jobs in every state, an audit trail", async () => {
    await app.settled(owner);
    const kinds = new Set((await owner.all("/api/v1/catalog/exceptions")).map((row) => row.kind));
    expect([...kinds].sort()).toEqual(["delivery", "scan"]);
    expect(await owner.all("/api/v1/stock?filter[oversold]=true")).toHaveLength(3);
    let states = new Set();
    for (let i = 0; i < 50 && !(states.has("done") && states.has("dead")); i++) {
      await sleep(200);
      states = new Set((await owner.all("/api/v1/jobs")).map((job) => job.state));
    }
    expect([...states]).toEqual(expect.arrayContaining(["done", "dead", "waiting"]));
    expect((await owner.get("/api/v1/audit?page_size=500")).expect(200).data).toHaveLength(500);
  });

  test("levels as of any instant equal a replay of the moves, and explain adds up", async () => {
    const moves = await owner.all("/api/v1/stock/moves");
    expect(levelsOf(await owner.all("/api/v1/stock"))).toEqual(
      nonzero(Object.entries(replay(moves))),
    );
    for (const at of [day(300), day(150), day(2)]) {
      const rows = await owner.all(`/api/v1/stock?at=${at}`);
      expect(levelsOf(rows), at).toEqual(nonzero(Object.entries(replay(moves, at))));
    }
    const busiest = (await owner.all("/api/v1/stock?place=customer")).sort(
      (a, b) => b.on_hand - a.on_hand,
    )[0];
    const query = `sku=${busiest.sku}&place=warehouse&page_size=500`;
    const { on_hand, moves: lines } = (await owner.get(`/api/v1/stock/explain?${query}`)).expect(200).data;
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.reduce((sum, line) => sum + line.quantity, 0)).toBe(on_hand);
  });

  test("the same again adds nothing, and all of it verifies", async () => {
    const again = await seed("--org", "Demo Company");
    expect(again).toMatchObject({ status: 0, stderr: "" });
    expect(JSON.parse(again.stdout)).toMatchObject({ created: false, items: 0, moves: 0, deliveries: 0 });
    expect(await app.server.cli(["ledger", "verify"])).toMatchObject({ status: 0 });
  });

  test("an organisation with items of its own is left alone, unless it is asked for", async () => {
    await app.item("MY-OWN-1", { stock: 3 });
    const refused = await seed("--org", "Default");
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^[^\n]*MY-OWN-1[^\n]*--force[^\n]*\n$/);
    expect((await app.owner.all("/api/v1/catalog")).length).toBeLessThan(5);
    const forced = await seed("--org", "Default", "--force");
    expect(forced).toMatchObject({ status: 0, stderr: "" });
    expect(await app.onHand("MY-OWN-1")).toBe(3);
    const first = JSON.parse(loaded.stdout);
    expect(JSON.parse(forced.stdout)).toMatchObject({ moves: first.moves, deliveries: first.deliveries });
  }, LONG);
});

describe("W12 a load that is broken off", () => {
  const alone = new Server(clock.settings);
  afterAll(() => alone.remove());

  test(
    "goes on where it ended, and ends the same, ids included",
    async () => {
      await alone.command("db", "upgrade");
      const args = ["seed", "--demo", "--json", "--org", "Demo Company"];
      const killed = await alone.cli(args, { within: 900 });
      expect(killed.signal).toBe("SIGKILL");
      const { status, stdout } = await alone.cli(args, { within: LONG });
      expect(status).toBe(0);
      expect(JSON.parse(stdout).moves).toBeGreaterThan(0);
      expect(await alone.cli(["ledger", "verify"])).toMatchObject({ status: 0 });
      const verified = JSON.parse((await alone.cli(["ledger", "verify", "--json"])).stdout);
      const here = await app.server.cli(["ledger", "verify", "--json", "--org", "demo-company"]);
      expect(verified.moves).toBe(JSON.parse(here.stdout).moves);
      expect(verified.levels).toBe(JSON.parse(here.stdout).levels);
      // What lies on the desk today has the time of loading; all before it has not.
      const list = ["deliveries", "list", "--json", "--org", "demo-company", "--to", day(1)];
      const ids = async (server) => JSON.parse((await server.cli(list)).stdout).map((row) => row.id);
      const there = await ids(alone);
      expect(there.length).toBeGreaterThan(5000);
      expect(await ids(app.server)).toEqual(there);
    },
    LONG,
  );
});
