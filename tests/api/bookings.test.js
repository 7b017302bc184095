// Several moves under one remark: all or none, whatever their order.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const PATH = "/api/v1/stock/moves/bulk";
const book = (body) => app.owner.post(PATH, body);
const two = async (stock) => [
  await app.item(fresh("K"), { stock }),
  await app.item(fresh("K"), { stock }),
];

describe("S10 a booking", () => {
  test("moves all its lines under one remark, summed per item and places", async () => {
    const [a, b] = await two(10);
    const lines = [
      { sku: b, quantity: 1 },
      { sku: a, quantity: 2 },
      { sku: b, quantity: 3 },
      { sku: a, quantity: 1, from: "supplier", to: "warehouse" },
    ];
    const body = { lines, from: "warehouse", to: "customer", reason: "fair", source: "desk" };
    const { moves, reason } = (await book(body)).expect(201).data;
    expect(reason).toBe("fair");
    expect(moves.map(({ sku, quantity, from }) => [sku, quantity, from])).toEqual([
      [a, 1, "supplier"],
      [a, 2, "warehouse"],
      [b, 4, "warehouse"],
    ]);
    expect(moves.every((move) => move.reason === "fair" && move.source === "desk")).toBe(true);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([9, 6]);
    expect((await app.moves(b))[0]).toEqual(moves[2]);
  });

  test("X7 of 500 lines is in the audit trail with all its lines", async () => {
    const skus = Array.from({ length: 500 }, (_, i) => `${fresh("BIG")}-${i}`.padEnd(64, "x"));
    for (const sku of skus) await app.item(sku);
    const source_ref = fresh("big").padEnd(100, "r");
    const lines = skus.map((sku) => ({ sku, quantity: 1 }));
    const body = { from: "supplier", to: "warehouse", reason: "r".repeat(500), source: "dock" };
    (await book({ ...body, source_ref, lines })).expect(201);
    const [entry] = await app.owner.all(`/api/v1/audit?filter[target]=${source_ref}`);
    expect(entry.after.moves.length).toBe(500);
  }, 60_000);

  test("is refused whole when one line is short", async () => {
    const [a, b] = await two(5);
    const lines = [
      { sku: a, quantity: 5 },
      { sku: b, quantity: 3 },
      { sku: b, quantity: 3 },
    ];
    const refused = (await book({ lines, from: "warehouse", to: "customer" })).expect(409);
    expect(refused.error).toMatchObject({ code: "insufficient-stock" });
    expect(refused.error.message).toContain(`5 of ${b}`);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([5, 5]);
  });

  test("a level is checked once: what comes in and goes out in one booking is no shortage", async () => {
    const [a] = await two(5);
    (await app.owner.post("/api/v1/places", { code: fresh("shelf"), kind: "box" })).expect(201);
    const shelf = `shelf-${fresh("x").split("-")[1] - 1}`;
    const lines = [
      { sku: a, quantity: 5, from: shelf, to: "customer" },
      { sku: a, quantity: 5, from: "warehouse", to: shelf },
    ];
    (await book({ lines })).expect(201);
    expect([await app.onHand(a), await app.onHand(a, shelf), await app.onHand(a, "customer")]).toEqual([
      0, 0, 5,
    ]);
  });

  test("sent again moves nothing; with other lines it is a conflict", async () => {
    const [a, b] = await two(10);
    const body = {
      lines: [
        { sku: a, quantity: 1 },
        { sku: b, quantity: 2 },
      ],
      from: "warehouse",
      to: "customer",
      source: "desk",
      source_ref: fresh("book"),
    };
    const answers = await Promise.all(Array.from({ length: 20 }, () => book(body)));
    expect(answers.filter(({ status }) => status === 201).length).toBe(1);
    expect(new Set(answers.map(({ data }) => JSON.stringify(data.moves))).size).toBe(1);
    (await book({ ...body, lines: [{ sku: a, quantity: 4 }] })).expect(409);
    (await book({ ...body, lines: [body.lines[0]] })).expect(409);
    const more = [...body.lines, { sku: a, quantity: 1, to: "adjustment" }];
    (await book({ ...body, lines: more })).expect(409);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([9, 8]);
  });

  test("names field and row of what is wrong", async () => {
    const [a] = await two(10);
    const fields = async (lines, more = {}) => (await book({ lines, ...more })).expect(422).fields;
    const whole = { from: "warehouse", to: "customer" };
    expect(await fields([{ sku: a, quantity: 1 }])).toEqual(["lines[0].from", "lines[0].to"]);
    expect(await fields([{ sku: a, quantity: 1, to: "warehouse" }], whole)).toEqual(["lines[0].to"]);
    const unknown = [
      { sku: a, quantity: 1 },
      { sku: "NOT-THERE", quantity: 1, to: "nowhere" },
    ];
    expect(await fields(unknown, whole)).toEqual(["lines[1].sku", "lines[1].to"]);
    expect(await fields([{ sku: a, quantity: 0 }], whole)).toEqual(["lines[0].quantity"]);
    expect(await fields([], whole)).toEqual(["lines"]);
    expect(await fields([{ sku: a, quantity: 1 }], { ...whole, source: "shipstation" })).toEqual(["source"]);
    expect(await app.onHand(a)).toBe(10);
  });

  test("fifty bookings that cross each other: no deadlock, nothing below zero", async () => {
    const [a, b] = await two(20);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const lines = [
          { sku: a, quantity: 1 },
          { sku: b, quantity: 1 },
        ];
        return book({ lines: i % 2 ? lines : lines.reverse(), from: "warehouse", to: "customer" });
      }),
    );
    expect(answers.filter(({ status }) => status === 201).length).toBe(20);
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([0, 0]);
  });
});
