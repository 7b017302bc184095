// S2: `ledger verify` finds every disagreement, `ledger rebuild` makes levels and postings anew.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { tamper } from "../lib/database.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const MOVES = "/api/v1/stock/moves";
const run = (...args) => app.server.cli(["ledger", ...args]);
const rows = async (sku) => {
  const levels = await app.owner.all(`/api/v1/stock?sku=${sku}`);
  const explained = await app.owner.get(`/api/v1/stock/explain?sku=${sku}&place=warehouse`);
  return { levels, explained: explained.expect(200).data };
};
const spoil = (statement) => tamper(app.server.env.DATABASE_URL, statement);

// An item with some history and a reservation.
async function lived() {
  const sku = await app.item(fresh("LIVED"), { stock: 20 });
  const sale = { sku, from: "warehouse", to: "customer", reason: "sold" };
  for (const quantity of [3, 4, 5]) (await app.owner.post(MOVES, { ...sale, quantity })).expect(201);
  (await app.owner.post("/api/v1/stock/reservations", { sku, quantity: 2 })).expect(201);
  return sku;
}

const WAYS = {
  "a level": [
    (sku) => `UPDATE stock_level SET on_hand = on_hand + 7 WHERE sku = '${sku}'`,
    "sum of the moves",
  ],
  "a promise": [
    (sku) => `UPDATE stock_level SET reserved = 1 WHERE sku = '${sku}' AND place = 'warehouse'`,
    "reservations",
  ],
  "a mark": [
    (sku) => `UPDATE stock_level SET oversold = NOT oversold WHERE sku = '${sku}' AND place = 'warehouse'`,
    "oversold",
  ],
  "a level that is gone": [(sku) => `DELETE FROM stock_level WHERE sku = '${sku}'`, "no level"],
  "a balance": [
    (sku) => `UPDATE stock_posting SET balance = balance + 1 WHERE sku = '${sku}' AND quantity = -4`,
    "run on",
  ],
  "a posting that is gone": [
    (sku) => `DELETE FROM stock_posting WHERE sku = '${sku}' AND quantity = -5`,
    "postings are not",
  ],
  "a posting of another quantity": [
    (sku) => `UPDATE stock_posting SET quantity = -6 WHERE sku = '${sku}' AND quantity = -5`,
    "postings are not",
  ],
  "the time of the newest": [
    (sku) => `UPDATE stock_level SET posted_at = NULL WHERE sku = '${sku}'`,
    "newest move",
  ],
};

describe("S2 what was spoilt behind the server's back", () => {
  test.each(Object.keys(WAYS))("%s is found, said and mended", async (way) => {
    const [statement, says] = WAYS[way];
    const sku = await lived();
    const before = await rows(sku);
    expect(await run("verify")).toMatchObject({ status: 0 });
    spoil(statement(sku));
    const found = await run("verify");
    expect(found.status).toBe(1);
    expect(found.stdout).toContain(sku);
    expect(found.stdout).toContain(says);
    const mended = await run("rebuild", "--json");
    expect(mended).toMatchObject({ status: 0, stderr: "" });
    const { changes } = JSON.parse(mended.stdout);
    expect(changes.length).toBeGreaterThan(0);
    for (const change of changes) expect(change.sku).toBe(sku);
    expect(await run("verify")).toMatchObject({ status: 0 });
    expect(await rows(sku)).toEqual(before);
  });

  test("rebuild of what is well changes nothing, and says so", async () => {
    const { status, stdout } = await run("rebuild");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "0 levels made anew\n" });
  });

  test("rebuild beside a server that is posting to the same levels loses nothing", async () => {
    const skus = await Promise.all(Array.from({ length: 5 }, lived));
    spoil(`UPDATE stock_level SET on_hand = on_hand + 3 WHERE sku IN (${skus.map((s) => `'${s}'`)})`);
    let posted = 0;
    let running = true;
    const writers = skus.map(async (sku) => {
      while (running) {
        const move = { sku, quantity: 1, from: "supplier", to: "warehouse", reason: "meanwhile" };
        posted += (await app.owner.post(MOVES, move)).status === 201;
      }
    });
    const { status, stdout } = await run("rebuild");
    running = false;
    await Promise.all(writers);
    expect(status).toBe(0);
    expect(stdout).toContain(skus[0]);
    expect(posted).toBeGreaterThan(0);
    expect(await run("verify")).toMatchObject({ status: 0 });
  });

  test("one organisation alone, by its name", async () => {
    expect(await run("rebuild", "--org", "Default")).toMatchObject({ status: 0 });
    expect((await run("rebuild", "--org", "nobody")).status).toBe(1);
  });
});
