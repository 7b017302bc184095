// The ledger's past: levels as of an instant, what a number consists of.
import { beforeAll, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { SEED, generator } from "../lib/random.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp({ WEBHOOK_RATE: "0" });
const MOVES = "/api/v1/stock/moves";
const encode = encodeURIComponent;
const post = async (body) => (await app.owner.post(MOVES, { reason: "test", ...body })).expect(201).data;
const asOf = async (sku, at) =>
  Object.fromEntries(
    (await app.owner.all(`/api/v1/stock?sku=${encode(sku)}&at=${encode(at)}`)).map((row) => [
      row.place,
      row.on_hand,
    ]),
  );
const explain = (sku, place, more = "") =>
  app.owner.get(`/api/v1/stock/explain?sku=${encode(sku)}&place=${encode(place)}${more}`);

// Microseconds since 1970, because a Date knows milliseconds only.
const micros = (text) => {
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0"));
};
const instant = (us) =>
  `${new Date(Number(us / 1000n)).toISOString().slice(0, 19)}.${String(us % 1_000_000n).padStart(6, "0")}Z`;

// The moves alone, added up by the test itself.
const replay = (moves, us) => {
  const levels = {};
  for (const { quantity, from, to, at } of moves)
    if (micros(at) <= us) {
      levels[from] = (levels[from] ?? 0) - quantity;
      levels[to] = (levels[to] ?? 0) + quantity;
    }
  return levels;
};
const clean = (levels) => Object.fromEntries(Object.entries(levels).filter(([, quantity]) => quantity !== 0));

describe("S5 levels as of an instant", () => {
  const sku = "PAST";
  let moves;
  beforeAll(async () => {
    await app.item(sku, { stock: 100 });
    (await app.owner.post("/api/v1/places", { code: "past-box", kind: "box" })).expect(201);
    const chance = generator(SEED);
    const routes = [
      ["supplier", "warehouse"],
      ["warehouse", "past-box"],
      ["past-box", "warehouse"],
      ["warehouse", "customer"],
    ];
    await Promise.all(
      Array.from({ length: 150 }, async () => {
        const [from, to] = chance.of(routes);
        await app.owner.post(MOVES, { sku, quantity: chance.between(1, 5), from, to, reason: "mixed" });
      }),
    );
    moves = await app.moves(sku);
  });

  test("equal a replay of the moves at every move, just before and just after", async () => {
    expect(moves.length).toBeGreaterThan(50);
    for (const { at } of moves.filter((_, i) => i % 5 === 0))
      for (const us of [micros(at) - 1n, micros(at), micros(at) + 1n])
        expect(clean(await asOf(sku, instant(us))), instant(us)).toEqual(clean(replay(moves, us)));
  });

  test("at one place the instants of the moves only go forward and are never the same", () => {
    for (const place of ["warehouse", "past-box", "supplier"]) {
      const times = moves.filter(({ from, to }) => [from, to].includes(place)).map(({ at }) => micros(at));
      expect(times.every((at, i) => i === 0 || at < times[i - 1])).toBe(true);
    }
  });

  test("page by page as the levels of now", async () => {
    const at = instant(micros(moves[40].at));
    const one = await app.owner.all(`/api/v1/stock?at=${encode(at)}`);
    const paged = [];
    for (let cursor = ""; cursor !== null;) {
      const answer = await app.owner.get(
        `/api/v1/stock?at=${encode(at)}&page_size=2${cursor && `&cursor=${encode(cursor)}`}`,
      );
      paged.push(...answer.expect(200).data);
      cursor = answer.json.page.next_cursor;
    }
    expect(paged).toEqual(one);
  });

  test("before anything there is nothing", async () => {
    expect(clean(await asOf(sku, "2001-01-01T00:00:00Z"))).toEqual({});
  });

  test.each([
    ["tomorrow", new Date(Date.now() + 86_400_000).toISOString()],
    ["no time", "yesterday"],
    ["no offset", "2026-01-01T00:00:00"],
    ["an empty one", ""],
  ])("%s is 422 naming at", async (_, at) => {
    refused(await app.owner.get(`/api/v1/stock?at=${encode(at)}`), 422, "at");
    refused(await explain(sku, "warehouse", `&at=${encode(at)}`), 422, "at");
  });

  test("are only one's own", async () => {
    const other = await app.other();
    const rows = await other.all(`/api/v1/stock?at=${encode(moves[0].at)}`);
    expect(rows).toEqual([]);
  });
});

describe("S5 an answer stays as it was given", () => {
  test("while moves are being recorded by many", async () => {
    const sku = await app.item(fresh("STABLE"), { stock: 1000 });
    let running = true;
    const writers = Array.from({ length: 12 }, async (_, i) => {
      for (let k = 0; running; k++) {
        const there = (i + k) % 2 ? ["supplier", "warehouse"] : ["warehouse", "customer"];
        await app.owner.post(MOVES, { sku, quantity: 1, from: there[0], to: there[1], reason: "busy" });
        if (i < 3) await app.hook({
          shipmentId: fresh("S"), orderId: fresh("O"), channel: "woot", status: "shipped",
          timestamp: new Date().toISOString(), items: [{ sku, quantity: 1 }],
        });
      }
    });
    const given = [];
    for (let i = 0; i < 40; i++) {
      const at = instant(BigInt(Date.now()) * 1000n - BigInt(i % 3) * 700n);
      given.push([at, await asOf(sku, at)]);
    }
    running = false;
    await Promise.all(writers);
    await app.settled();
    const moves = await app.moves(sku);
    for (const [at, levels] of given) {
      expect(await asOf(sku, at), at).toEqual(levels);
      expect(clean(levels), at).toEqual(clean(replay(moves, micros(at))));
    }
  });
});

describe("S9 explain", () => {
  test("adds up to the number, page by page", async () => {
    const sku = await app.item(fresh("EXPLAINED"));
    for (let i = 1; i <= 23; i++) await post({ sku, quantity: i, from: "supplier", to: "warehouse" });
    for (let i = 1; i <= 7; i++) await post({ sku, quantity: i, from: "warehouse", to: "customer" });
    const level = await app.level(sku);
    let opening = level.on_hand;
    const rows = [];
    for (let cursor = ""; cursor !== null;) {
      const page = (
        await explain(sku, "warehouse", `&page_size=8${cursor && `&cursor=${encode(cursor)}`}`)
      ).expect(200).data;
      expect(page).toMatchObject({ sku, place: "warehouse", on_hand: level.on_hand, at: null });
      expect(page.closing).toBe(opening);
      let balance = page.closing;
      for (const row of page.moves) {
        expect(row.balance).toBe(balance);
        balance -= row.quantity;
      }
      expect(page.opening).toBe(balance);
      opening = balance;
      rows.push(...page.moves);
      cursor = page.next_cursor;
    }
    expect(opening).toBe(0);
    expect(rows.map(({ id }) => id)).toEqual((await app.moves(sku)).map(({ id }) => id));
    expect(rows[0]).toMatchObject({ quantity: -7, from: "warehouse", to: "customer", reason: "test" });
  });

  test("names the reservations behind what is reserved", async () => {
    const sku = await app.item(fresh("PROMISED"), { stock: 10 });
    const reserve = async (quantity) =>
      (await app.owner.post("/api/v1/stock/reservations", { sku, quantity })).expect(201).data;
    const kept = [await reserve(2), await reserve(3)];
    const given = await reserve(4);
    (await app.owner.post(`/api/v1/stock/reservations/${given.id}/void`)).expect(200);
    const x = (await explain(sku, "warehouse")).expect(200).data;
    expect(x).toMatchObject({ on_hand: 10, reserved: 5, available: 5, reserved_further: 0 });
    expect(x.reservations).toEqual(kept);
  });

  test("at an instant begins there", async () => {
    const sku = await app.item(fresh("EXPLAINED"), { stock: 5 });
    const { at } = await post({ sku, quantity: 2, from: "warehouse", to: "customer" });
    await post({ sku, quantity: 1, from: "warehouse", to: "customer" });
    const then = (await explain(sku, "warehouse", `&at=${encode(at)}`)).expect(200).data;
    expect(then).toMatchObject({ on_hand: 3, closing: 3, opening: 0, at });
    expect(then.moves.map(({ quantity }) => quantity)).toEqual([-2, 5]);
  });

  test("of an item that never moved is zero without moves", async () => {
    const sku = await app.item(fresh("EXPLAINED"));
    expect((await explain(sku, "warehouse")).expect(200).data).toMatchObject({
      on_hand: 0, reserved: 0, available: 0, opening: 0, closing: 0, moves: [], next_cursor: null,
    });
  });

  test("what is missing or wrong is refused", async () => {
    refused(await app.owner.get("/api/v1/stock/explain?place=warehouse"), 422, "sku");
    refused(await app.owner.get("/api/v1/stock/explain?sku=PAST"), 422, "place");
    refused(await explain("NOBODY", "warehouse"), 404);
    refused(await explain("PAST", "nowhere"), 404);
    refused(await explain("PAST", "warehouse", "&page_size=501"), 422, "page_size");
    refused(await explain("PAST", "warehouse", "&page_size=1&page_size=2"), 422, "page_size");
    refused(await explain("PAST", "warehouse", "&cursor=AAAA"), 422, "cursor");
    refused(await explain("PAST", "warehouse", "&colour=red"), 422, "colour");
    const { next_cursor } = (await explain("PAST", "warehouse", "&page_size=1")).expect(200).data;
    refused(await explain("PAST", "past-box", `&cursor=${encode(next_cursor)}`), 422, "cursor");
  });
});

describe("S11 a fact that is told late", () => {
  test("stands where it was recorded and rewrites nothing", async () => {
    const sku = await app.item(fresh("LATE"), { stock: 10 });
    const { at } = await post({ sku, quantity: 1, from: "warehouse", to: "customer" });
    const before = await asOf(sku, at);
    const minutes = new Date(Date.now() - 4 * 60_000).toISOString();
    const event = { shipmentId: fresh("LATE"), orderId: fresh("O"), channel: "woot", status: "shipped" };
    (await app.hook({ ...event, timestamp: minutes, items: [{ sku, quantity: 2 }] })).expect(200);
    await app.settled();
    expect(await asOf(sku, at)).toEqual(before);
    expect((await app.moves(sku))[0]).toMatchObject({ quantity: 2, source: "shipstation" });
    expect(await app.onHand(sku)).toBe(7);
  });
});
