// The body of the shipping webhook: what is missing or wrong is named, what is more is kept.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const LONG = "x".repeat(65);
const one = (changes) => ({ items: [{ sku: "TEST-SKU-001", quantity: 1, ...changes }] });
const second = (changes) => ({ items: [one().items[0], { sku: "TEST-SKU-001", quantity: 1, ...changes }] });
const top = (changes) => ({ items: undefined, sku: "TEST-SKU-001", quantity: 1, ...changes });

const WRONG = [
  [
    "shipmentId",
    { shipmentId: undefined },
    { shipmentId: null },
    { shipmentId: "" },
    { shipmentId: true },
    { shipmentId: {} },
    { shipmentId: [1] },
    { shipmentId: 1.5 },
    { shipmentId: "x".repeat(500) },
  ],
  [
    "orderId",
    { orderId: undefined },
    { orderId: null },
    { orderId: "" },
    { orderId: false },
    { orderId: [] },
  ],
  ["channel", { channel: 5 }, { channel: "" }, { channel: ["woot"] }],
  [
    "status",
    { status: undefined },
    { status: null },
    { status: "" },
    { status: "Shipped" },
    { status: "delivered" },
    { status: 1 },
  ],
  [
    "timestamp",
    { timestamp: undefined },
    { timestamp: null },
    { timestamp: "" },
    { timestamp: "yesterday" },
    { timestamp: 1795000000 },
    { timestamp: "2026-11-20T10:00:00" },
    { timestamp: "2026-11-20" },
    { timestamp: "2026-02-30T10:00:00Z" },
    { timestamp: "2026-11-20T25:00:00Z" },
  ],
  ["items", { items: undefined }, { items: null }, { items: [] }, { items: {} }, { items: "TEST-SKU-001" }],
  [
    "items[0].sku",
    one({ sku: undefined }),
    one({ sku: null }),
    one({ sku: "" }),
    one({ sku: "a b" }),
    one({ sku: "a/b" }),
    one({ sku: "größe" }),
    one({ sku: "a\u0007" }),
    one({ sku: LONG }),
    one({ sku: 5 }),
  ],
  [
    "items[0].quantity",
    one({ quantity: undefined }),
    one({ quantity: null }),
    one({ quantity: 0 }),
    one({ quantity: -1 }),
    one({ quantity: 1.5 }),
    one({ quantity: "1" }),
    one({ quantity: true }),
    one({ quantity: 1e30 }),
  ],
  ["items[1].sku", second({ sku: undefined }), second({ sku: "a b" })],
  ["items[1].quantity", second({ quantity: undefined }), second({ quantity: 0 })],
  ["sku", top({ sku: undefined }), top({ sku: "a b" }), top({ sku: 7 })],
  ["quantity", top({ quantity: undefined }), top({ quantity: 0 }), top({ quantity: "2" })],
].flatMap(([field, ...cases]) =>
  cases.map((changes) => ({ field, changes, shown: JSON.stringify(changes).slice(0, 60) })),
);

describe("C3 a wrong field is named", () => {
  test.each(WRONG)("$field: $shown", async ({ field, changes }) => {
    refused(await app.hook(shipment(changes)), 422, field);
  });

  test("all of them at once", async () => {
    const event = shipment({
      shipmentId: undefined,
      status: undefined,
      items: [{ sku: "a b", quantity: 0 }],
    });
    refused(await app.hook(event), 422, "shipmentId", "status", "items[0].sku", "items[0].quantity");
  });

  test.each([
    ["9223372036854775807"],
    ["9223372036854775808"],
    ["18446744073709551617"],
    ["-9223372036854775808"],
  ])("a quantity of %s is not cut to something smaller", async (quantity) => {
    const body = JSON.stringify(shipment()).replace('"quantity":1', `"quantity":${quantity}`);
    refused(await app.hook(body), 422, "items[0].quantity");
  });

  test("items that add up to more than a move can hold", async () => {
    const lines = Array.from({ length: 8 }, () => ({ sku: "TEST-SKU-001", quantity: 1_000_000_000 }));
    refused(await app.hook(shipment({ items: lines })), 422);
  });
});

describe("C3 not JSON is 400", () => {
  const TEXTS = [
    "",
    " ",
    "{",
    "shipped",
    "{}}",
    '{"a":1,}',
    "{'a':1}",
    "\ufeff{}",
    '{"a":NaN}',
    '{"a":01}',
    '{"a":"\u0001"}',
    '{"a":"\\ud800"}',
    "[".repeat(600),
  ];
  test.each(TEXTS.map((text) => [text.slice(0, 20), text]))("%j", async (_, text) => {
    refused(await app.hook(text), 400);
  });

  test("bytes that are not UTF-8", async () => {
    const body = Buffer.concat([Buffer.from('{"channel":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    refused(await app.hook(body), 400);
  });

  test.each(["[]", "null", "1", '"shipped"'])("%s is JSON but no event", async (text) => {
    const answer = await app.hook(text);
    expect([400, 422]).toContain(answer.status);
  });
});

describe("C3 what is taken", () => {
  test("fields that nobody knows are kept, not refused", async () => {
    const event = shipment({
      carrier: { name: "UPS", lanes: [1, 2, null] },
      note: "größe 日本 🚚",
      flag: true,
    });
    event.items[0].lineItemKey = "k1";
    expect((await app.hook(event)).expect(200).json).toEqual({ status: "ok" });
  });

  test.each([
    [null],
    ["text/plain"],
    ["application/xml"],
    ["application/x-www-form-urlencoded"],
    ["nonsense"],
  ])("Content-Type %s is ignored", async (type) => {
    (await app.hook(shipment(), { headers: { "content-type": type } })).expect(200);
  });

  test("sku and quantity at the top level stand for one item", async () => {
    const sku = await app.item("TOP-LEVEL", { stock: 10 });
    (await app.hook(shipment(top({ sku, quantity: 4 })))).expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(6);
  });

  test("lines of the same SKU are summed into one move", async () => {
    const sku = await app.item("SUMMED", { stock: 10 });
    const id = fresh();
    const items = [
      { sku, quantity: 2 },
      { sku: "TEST-SKU-001", quantity: 1 },
      { sku, quantity: 3 },
    ];
    (await app.hook(shipment({ shipmentId: id, items }))).expect(200);
    await app.settled();
    const moves = (await app.moves(sku)).filter((move) => move.source === "shipstation");
    expect(moves.map(({ quantity, source_ref }) => [quantity, source_ref])).toEqual([[5, `${id}:shipped`]]);
  });

  test("a shipment id is the same as a number and as a text", async () => {
    (await app.hook(shipment({ shipmentId: 1001, orderId: 7 }))).expect(200);
    const again = await app.hook(shipment({ shipmentId: "1001", orderId: "7" }));
    expect(again.expect(200).json).toEqual({ status: "duplicate" });
  });

  test("ids beyond 2^53 are told apart to the last digit", async () => {
    const sku = await app.item("BIG-IDS", { stock: 10 });
    const ids = [
      "9007199254740992",
      "9007199254740993",
      "18446744073709551616",
      "123456789012345678901234567890",
    ];
    for (const id of ids) {
      const body = JSON.stringify(shipment({ shipmentId: 0, items: [{ sku, quantity: 1 }] }));
      const answer = await app.hook(body.replace('"shipmentId":0', `"shipmentId":${id}`));
      expect(answer.expect(200).json).toEqual({ status: "ok" });
    }
    await app.settled();
    const refs = (await app.moves(sku))
      .filter((move) => move.source === "shipstation")
      .map((move) => move.source_ref);
    expect(refs.sort()).toEqual(ids.map((id) => `${id}:shipped`).sort());
  });

  test("the signature is over the bytes, whatever they spell", async () => {
    const body = JSON.stringify(shipment({ channel: "wööt" }), null, 2);
    (await app.hook(body)).expect(200);
    (await app.hook(body.replace("wööt", "w\\u00f6\\u00f6t"))).expect(200);
  });
});
