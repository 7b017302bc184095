// Many at once: the ledger lets exactly as many win as there is stock.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { SEED, generator } from "../lib/random.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const MOVES = "/api/v1/stock/moves";
const at_once = (n, make) => Promise.all(Array.from({ length: n }, (_, i) => make(i)));
const count = (answers, status) => answers.filter((answer) => answer.status === status).length;

describe("S3 S4 at once", () => {
  test("fifty clients want the last twenty: twenty win", async () => {
    const sku = await app.item("LAST-UNITS", { stock: 20 });
    const take = { sku, quantity: 1, from: "warehouse", to: "customer", reason: "sale" };
    const answers = await at_once(50, (i) =>
      app.owner.post(MOVES, { ...take, source: "pos", source_ref: `T-${i}` }),
    );
    expect([count(answers, 201), count(answers, 409)]).toEqual([20, 30]);
    expect(await app.level(sku)).toMatchObject({ on_hand: 0, oversold: false });
    expect(await app.onHand(sku, "customer")).toBe(20);
  });

  test("quantities that do not divide what is there", async () => {
    const sku = await app.item("ODD-UNITS", { stock: 20 });
    const take = { sku, quantity: 3, from: "warehouse", to: "customer", reason: "sale" };
    const answers = await at_once(30, () => app.owner.post(MOVES, take));
    expect([count(answers, 201), count(answers, 409)]).toEqual([6, 24]);
    expect(await app.onHand(sku)).toBe(2);
  });

  test("one source_ref fifty times: moved once, all get the same row", async () => {
    const sku = await app.item("ONE-REF");
    const body = {
      sku,
      quantity: 2,
      from: "supplier",
      to: "warehouse",
      reason: "in",
      source: "dock",
      source_ref: "X-1",
    };
    const answers = await at_once(50, () => app.owner.post(MOVES, body));
    expect([count(answers, 201), count(answers, 200)]).toEqual([1, 49]);
    expect(new Set(answers.map((answer) => answer.data.id)).size).toBe(1);
    expect(await app.onHand(sku)).toBe(2);
  });

  test("one Idempotency-Key twenty times: moved once", async () => {
    const sku = await app.item("ONE-KEY");
    const body = { sku, quantity: 2, from: "supplier", to: "warehouse", reason: "in" };
    const headers = { "Idempotency-Key": fresh("once") };
    const answers = await at_once(20, () => app.owner.post(MOVES, body, { headers }));
    expect(count(answers, 201)).toBe(1);
    for (const answer of answers) expect([200, 201, 409]).toContain(answer.status);
    expect(await app.onHand(sku)).toBe(2);
  });

  test("one new item twenty times: made once", async () => {
    const answers = await at_once(20, () =>
      app.owner.post("/api/v1/catalog", { sku: "ONE-ITEM", kind: "product" }),
    );
    expect([count(answers, 201), count(answers, 409)]).toEqual([1, 19]);
  });

  test(`transfers both ways between places keep the sum (seed ${SEED})`, async () => {
    const random = generator(SEED);
    const skus = await at_once(3, (i) => app.item(`SUM-${i}`, { stock: 50 }));
    const places = ["warehouse", "shelf-a", "shelf-b"];
    for (const code of places.slice(1))
      (await app.owner.post("/api/v1/places", { code, kind: "box" })).expect(201);
    const wanted = Array.from({ length: 300 }, () => {
      const from = random.of(places);
      return {
        sku: random.of(skus),
        quantity: random.between(1, 20),
        from,
        to: random.of(places.filter((place) => place !== from)),
        reason: "shuffle",
      };
    });
    const answers = await Promise.all(wanted.map((body) => app.owner.post(MOVES, body)));
    for (const answer of answers) expect([201, 409]).toContain(answer.status);
    for (const sku of skus) {
      const levels = await Promise.all(places.map((place) => app.onHand(sku, place)));
      expect(Math.min(...levels)).toBeGreaterThanOrEqual(0);
      expect(levels.reduce((a, b) => a + b)).toBe(50);
    }
  });
});
