// Moves by request: what is recorded, what is refused, what is idempotent.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const MOVES = "/api/v1/stock/moves";
const move = (sku, changes) => ({
  sku,
  quantity: 1,
  from: "supplier",
  to: "warehouse",
  reason: "receipt",
  ...changes,
});
const post = (body, options) => app.owner.post(MOVES, body, options);

describe("S2 S3 a move", () => {
  const OURS = ["shipstation", "scan", "seed", "upload"];
  test.each(OURS)("may not pass itself off as one of %s", async (source) => {
    const sku = await app.item(fresh("RESERVED"));
    refused(await post(move(sku, { source, source_ref: "X1:shipped" })), 422, "source");
  });

  test("is 201 with the whole row", async () => {
    const sku = await app.item("ROW");
    const before = Date.now();
    const body = move(sku, { quantity: 7, reason: "delivery 12", source: "dock", source_ref: "D-12" });
    const row = (await post(body)).expect(201).data;
    expect(row).toEqual({
      ...body,
      id: expect.any(String),
      at: expect.any(String),
      actor: expect.stringMatching(/\S/),
      reverses: null,
    });
    expect(row.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/);
    expect(Math.abs(Date.parse(row.at) - before)).toBeLessThan(5_000);
    expect(await app.onHand(sku)).toBe(7);
    expect(await app.onHand(sku, "supplier")).toBe(-7);
  });

  test("repeated with its source_ref is 200 with the first one", async () => {
    const sku = await app.item("REPEAT");
    const body = move(sku, { quantity: 3, source: "dock", source_ref: "R-1" });
    const first = (await post(body)).expect(201).data;
    expect((await post(body)).expect(200).data).toEqual(first);
    expect(await app.onHand(sku)).toBe(3);
    expect(await app.moves(sku)).toHaveLength(1);
  });

  test("with the same source_ref and another quantity is 409", async () => {
    const sku = await app.item("CONTENT");
    const body = move(sku, { quantity: 3, source: "dock", source_ref: "C-1" });
    (await post(body)).expect(201);
    refused(await post({ ...body, quantity: 4 }), 409);
    expect(await app.onHand(sku)).toBe(3);
  });

  test("with another source, or of another organisation, is another one", async () => {
    const sku = await app.item("SOURCES");
    const other = await app.other();
    await app.item(sku, { client: other });
    const body = move(sku, { source: "dock", source_ref: "S-1" });
    (await post(body)).expect(201);
    (await post({ ...body, source: "gate" })).expect(201);
    (await other.post(MOVES, body)).expect(201);
    expect([await app.onHand(sku), await app.onHand(sku, "warehouse", other)]).toEqual([2, 1]);
  });

  test("without source_ref it is not idempotent", async () => {
    const sku = await app.item("PLAIN");
    for (let i = 0; i < 3; i++) (await post(move(sku))).expect(201);
    expect(await app.onHand(sku)).toBe(3);
  });

  test("X4 with an Idempotency-Key it is", async () => {
    const sku = await app.item("KEYED");
    const headers = { "Idempotency-Key": fresh("key") };
    const first = (await post(move(sku), { headers })).expect(201).data;
    const again = await post(move(sku), { headers });
    expect([200, 201]).toContain(again.status);
    expect(again.data).toEqual(first);
    expect([409, 422]).toContain((await post(move(sku, { quantity: 2 }), { headers })).status);
    expect(await app.onHand(sku)).toBe(1);
  });
});

describe("S4 a request never takes more than is available", () => {
  test("409 insufficient-stock, and nothing moved", async () => {
    const sku = await app.item("SHORT", { stock: 5 });
    const body = move(sku, { quantity: 6, from: "warehouse", to: "customer" });
    expect(refused(await post(body), 409).code).toBe("insufficient-stock");
    expect(await app.onHand(sku)).toBe(5);
    (await post({ ...body, quantity: 5 })).expect(201);
    expect(await app.level(sku)).toEqual({
      sku,
      place: "warehouse",
      on_hand: 0,
      reserved: 0,
      available: 0,
      oversold: false,
      unknown: false,
    });
  });

  test("a short one does not use up its source_ref", async () => {
    const sku = await app.item("SHORT-THEN-GOOD", { stock: 1 });
    const body = move(sku, {
      quantity: 2,
      from: "warehouse",
      to: "customer",
      source: "pos",
      source_ref: fresh(),
    });
    refused(await post(body), 409);
    await app.receive(sku, 1);
    (await post(body)).expect(201);
    (await post(body)).expect(200);
    expect(await app.onHand(sku)).toBe(0);
  });

  test("an item that was never there", async () => {
    const sku = await app.item("NEVER");
    refused(await post(move(sku, { from: "warehouse", to: "customer" })), 409);
  });

  test.each(["supplier", "customer", "adjustment"])("%s is without bounds", async (from) => {
    const sku = await app.item(`UNBOUND-${from}`);
    (await post(move(sku, { from, to: "warehouse", quantity: 4 }))).expect(201);
    expect(await app.level(sku, from)).toMatchObject({ on_hand: -4, oversold: false });
  });

  test.each(["box", "channel", "warehouse"])("a place of kind %s is bounded", async (kind) => {
    const sku = await app.item(`BOUND-${kind}`);
    const code = `bounded-${kind}`;
    (await app.owner.post("/api/v1/places", { code, kind, name: kind })).expect(201);
    refused(await post(move(sku, { from: code, to: "customer" })), 409);
    (await post(move(sku, { to: code }))).expect(201);
    (await post(move(sku, { from: code, to: "warehouse" }))).expect(201);
  });
});

describe("S2 a move that is wrong is 422", () => {
  const CASES = [
    [
      "sku",
      { sku: undefined },
      { sku: "NOBODY-KNOWS" },
      { sku: "" },
      { sku: null },
      { sku: 5 },
      { sku: "a b" },
      { sku: "move-me" },
    ],
    ["from", { from: undefined }, { from: "nowhere" }, { from: "" }, { from: 1 }, { from: "Supplier" }],
    ["to", { to: undefined }, { to: "nowhere" }, { to: null }],
    [
      "quantity",
      { quantity: undefined },
      { quantity: 0 },
      { quantity: -1 },
      { quantity: 1.5 },
      { quantity: "1" },
      { quantity: true },
      { quantity: null },
      { quantity: [1] },
    ],
    ["reason", { reason: 7 }, { reason: "x".repeat(100_00) }],
    ["source", { source: 7 }],
    ["source_ref", { source_ref: {} }, { source_ref: "x".repeat(5000) }],
    ["colour", { colour: "red" }],
    ["id", { id: "0" }],
    ["at", { at: "2020-01-01T00:00:00Z" }],
  ].flatMap(([field, ...cases]) =>
    cases.map((changes) => ({ field, changes, shown: JSON.stringify(changes).slice(0, 50) })),
  );

  test.each(CASES)("$field: $shown", async ({ field, changes }) => {
    (await app.owner.post("/api/v1/catalog", { sku: "MOVE-ME", kind: "product" })).status;
    const body = Object.fromEntries(
      Object.entries(move("MOVE-ME", changes)).filter(([, value]) => value !== undefined),
    );
    refused(await post(body), 422, field);
  });

  test.each([
    "9223372036854775808",
    "9223372036854775807",
    "1e30",
    "1e-1",
    "-0.0",
    "18446744073709551617",
    "0.0",
  ])("quantity %s", async (quantity) => {
    const sku = await app.item(fresh("NUMBER"));
    refused(
      await post(JSON.stringify(move(sku)).replace('"quantity":1', `"quantity":${quantity}`)),
      422,
      "quantity",
    );
    expect(await app.moves(sku)).toEqual([]);
  });

  test.each(["1e3", "1000.0"])(
    "quantity %s is a thousand or refused, never anything else",
    async (quantity) => {
      const sku = await app.item(fresh("NUMBER"));
      const answer = await post(JSON.stringify(move(sku)).replace('"quantity":1', `"quantity":${quantity}`));
      if (answer.status !== 201) refused(answer, 422, "quantity");
      expect([0, 1000]).toContain(await app.onHand(sku));
    },
  );

  test("from and to are the same place", async () => {
    const sku = await app.item("STANDS-STILL", { stock: 1 });
    const error = refused(await post(move(sku, { from: "warehouse" })), 422);
    expect(["from", "to"]).toContain(error.details[0].field);
  });

  test("sums never run over", async () => {
    const sku = await app.item("HUGE");
    const most = 1_000_000_000;
    (await post(move(sku, { quantity: most }))).expect(201);
    (await post(move(sku, { quantity: most }))).expect(201);
    expect(await app.onHand(sku)).toBe(2 * most);
  });
});

describe("S2 history", () => {
  test("comes newest first, page by page, each move once", async () => {
    const sku = await app.item("HISTORY");
    const made = [];
    for (let i = 1; i <= 25; i++) made.unshift((await post(move(sku, { quantity: i }))).expect(201).data);
    const seen = [];
    const sizes = [];
    for (let cursor = ""; cursor !== null;) {
      const page = (
        await app.owner.get(`${MOVES}?sku=${sku}&page_size=10${cursor && `&cursor=${cursor}`}`)
      ).expect(200).json;
      expect(page.page.page_size).toBe(10);
      seen.push(...page.data);
      sizes.push(page.data.length);
      cursor = page.page.next_cursor;
    }
    expect(sizes).toEqual([10, 10, 5]);
    expect(seen).toEqual(made);
  });

  test("pages stay as they are while moves are added", async () => {
    const sku = await app.item("MOVING-HISTORY");
    for (let i = 0; i < 10; i++) await post(move(sku));
    const first = (await app.owner.get(`${MOVES}?sku=${sku}&page_size=5`)).expect(200).json;
    for (let i = 0; i < 3; i++) await post(move(sku));
    const second = (
      await app.owner.get(`${MOVES}?sku=${sku}&page_size=5&cursor=${first.page.next_cursor}`)
    ).expect(200).json;
    const ids = [...first.data, ...second.data].map(({ id }) => id);
    expect(new Set(ids).size).toBe(10);
    expect(second.page.next_cursor).toBeNull();
  });

  test("of all items, and of an item that is not there", async () => {
    expect((await app.owner.get(`${MOVES}?page_size=3`)).expect(200).data).toHaveLength(3);
    expect((await app.owner.get(`${MOVES}?sku=NOBODY`)).expect(200).data).toEqual([]);
  });
});
