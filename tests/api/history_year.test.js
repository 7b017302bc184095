// S5 S9: a year of moves, written past the server by a fixed seed, and its levels made anew from them. ROWS
// says how many moves the busy item has; TIMES=1 prints how long the answers take.
import { beforeAll, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { tamper } from "../lib/database.js";
import { DATABASE } from "../lib/folder.js";
import { generator } from "../lib/random.js";

const ROWS = Number(process.env.ROWS ?? 20_000);
const OTHERS = 200;
const YEAR_US = 365n * 86_400_000_000n;
const START = 1_700_000_000_000_000n;
const PLACES = ["supplier", "warehouse", "year-box", "customer"];
const SKU = "YEAR-BUSY";
const app = useApp();
const encode = encodeURIComponent;
const chance = generator(20_261_125);

const instant = (us) =>
  `${new Date(Number(us / 1000n)).toISOString().slice(0, 19)}.${String(us % 1_000_000n).padStart(6, "0")}Z`;
const hex = (n) => n.toString(16).padStart(20, "0");
const uuid = (us, n) => (us / 1000n).toString(16).padStart(12, "0") + hex(n);
const blob = (text) => (DATABASE === "sqlite" ? `x'${text}'` : `'${text}'`);
const time = (us) => (DATABASE === "sqlite" ? String(us) : `'${instant(us)}'`);

const moves = [];
function make(sku, n) {
  for (let i = 0; i < n; i++) {
    const us = START + (YEAR_US * BigInt(i)) / BigInt(n) + BigInt(chance.below(1000));
    const from = chance.below(PLACES.length);
    const to = (from + 1 + chance.below(PLACES.length - 1)) % PLACES.length;
    moves.push({ sku, us, from: PLACES[from], to: PLACES[to], quantity: chance.between(1, 50) });
  }
}

function* statements(org) {
  const head =
    "INSERT INTO stock_move (org_id, id, sku, quantity, from_place, to_place, reason, source," +
    " recorded_at, actor) VALUES ";
  yield "BEGIN;\n";
  for (let i = 0; i < moves.length; i += 500)
    yield head +
      moves
        .slice(i, i + 500)
        .map(
          ({ sku, us, from, to, quantity }, k) =>
            `(${blob(org)}, ${blob(uuid(us, i + k))}, '${sku}', ${quantity}, '${from}', '${to}', 'year',` +
            ` 'year', ${time(us)}, 'year')`,
        )
        .join(",\n") +
      ";\n";
  yield "COMMIT;\n";
  if (DATABASE === "postgres") yield "ANALYZE stock_move;\n";
}

const replay = (sku, us) => {
  const levels = {};
  for (const move of moves)
    if (move.sku === sku && move.us <= us) {
      levels[move.from] = (levels[move.from] ?? 0) - move.quantity;
      levels[move.to] = (levels[move.to] ?? 0) + move.quantity;
    }
  return Object.fromEntries(Object.entries(levels).filter(([, quantity]) => quantity !== 0));
};
const asOf = async (sku, us) => {
  const rows = await app.owner.all(`/api/v1/stock?sku=${sku}&at=${encode(instant(us))}`);
  return Object.fromEntries(rows.filter((row) => row.on_hand !== 0).map((row) => [row.place, row.on_hand]));
};
const median = async (what, times = 200) => {
  const taken = [];
  for (let i = 0; i < times; i++) {
    const begun = performance.now();
    await what(i);
    taken.push(performance.now() - begun);
  }
  taken.sort((a, b) => a - b);
  return `${taken[times >> 1].toFixed(2)} ms, p99 ${taken[Math.floor(times * 0.99)].toFixed(2)} ms`;
};

beforeAll(async () => {
  (await app.owner.post("/api/v1/places", { code: "year-box", kind: "box" })).expect(201);
  await app.item(SKU);
  make(SKU, ROWS);
  for (let i = 0; i < OTHERS; i++) make(await app.item(`YEAR-${String(i).padStart(3, "0")}`), 20);
  const org = app.owner.user.organisation.id.replaceAll("-", "");
  tamper(app.server.env.DATABASE_URL, [...statements(org)].join(""));
  const rebuilt = await app.server.cli(["ledger", "rebuild", "--json"], { within: 300_000 });
  expect(rebuilt).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(rebuilt.stdout).changes.length).toBeGreaterThan(OTHERS);
}, 600_000);

describe("a year of moves", () => {
  test("S5 at any instant the levels are those of a replay", async () => {
    for (let i = 0; i < 60; i++) {
      const sku = i % 3 ? SKU : `YEAR-${String(chance.below(OTHERS)).padStart(3, "0")}`;
      const of = moves.filter((move) => move.sku === sku);
      const us = chance.of(of).us + BigInt(chance.of([-1, 0, 0, 1, 7_000_000]));
      expect(await asOf(sku, us), `${sku} at ${instant(us)}`).toEqual(replay(sku, us));
    }
  });

  test("S9 explain adds up on every page and to the number", async () => {
    let cursor = "",
      opening = null,
      seen = 0;
    for (let page = 0; page < 20 && cursor !== null; page++) {
      const target = `/api/v1/stock/explain?sku=${SKU}&place=warehouse&page_size=500${cursor}`;
      const x = (await app.owner.get(target)).expect(200).data;
      expect(x.closing).toBe(opening ?? x.on_hand);
      expect(x.moves.reduce((sum, { quantity }) => sum + quantity, x.opening)).toBe(x.closing);
      opening = x.opening;
      seen += x.moves.length;
      cursor = x.next_cursor && `&cursor=${encode(x.next_cursor)}`;
    }
    const all = moves.filter((move) => move.sku === SKU && [move.from, move.to].includes("warehouse"));
    expect(seen).toBe(Math.min(all.length, 10_000));
    if (cursor === null) expect(opening).toBe(0);
  });

  test.runIf(process.env.TIMES)("takes its time", async () => {
    const at = () => encode(instant(chance.of(moves).us));
    const of = (place = "warehouse") => `sku=${SKU}&place=${place}`;
    await app.owner.get(`/api/v1/stock?at=${at()}`);
    const figures = {
      "stock?sku=&at=": await median(() => app.owner.get(`/api/v1/stock?sku=${SKU}&at=${at()}`)),
      "stock?at= (50 levels)": await median(() => app.owner.get(`/api/v1/stock?at=${at()}`)),
      "stock?at= just now": await median(() =>
        app.owner.get(`/api/v1/stock?sku=${SKU}&at=${encode(instant(BigInt(Date.now()) * 1000n))}`),
      ),
      explain: await median(() => app.owner.get(`/api/v1/stock/explain?${of()}`)),
      "explain at=": await median(() => app.owner.get(`/api/v1/stock/explain?${of()}&at=${at()}`)),
      "explain (500 moves)": await median(() =>
        app.owner.get(`/api/v1/stock/explain?${of()}&at=${at()}&page_size=500`),
      ),
    };
    process.stderr.write(`${DATABASE}, ${moves.length} moves: ${JSON.stringify(figures, null, 1)}\n`);
  }, 120_000);
});
