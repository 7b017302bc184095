// Items: what can be said of one, what is refused, and changes that do not overwrite each other.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const CATALOG = "/api/v1/catalog";
const at = (sku) => `${CATALOG}/${encodeURIComponent(sku).replaceAll(".", "%2E")}`;
const create = (body, options) => app.owner.post(CATALOG, body, options);

const FULL = {
  kind: "garment",
  name: "Jacke, größe 40 🧥",
  description: "Warm.\nDry.",
  brand: "Fernway",
  category: "Coats",
  cost: { amount: "12.50", currency: "USD" },
  price: { amount: "99.90", currency: "EUR" },
  attributes: { waist: { cm: 76 }, colours: ["red", "black"], washable: true, note: null },
  barcodes: [
    { type: "EAN", code: "4006381333931" },
    { type: "ASIN", code: "B000123456" },
  ],
};

describe("S1 an item", () => {
  test("is made, read and listed as it was given", async () => {
    const sku = fresh("FULL");
    const made = (await create({ sku, ...FULL })).expect(201).data;
    expect(made).toMatchObject({ sku, ...FULL });
    expect(made.created_at).toBe(made.updated_at);
    expect((await app.owner.get(at(sku))).expect(200).data).toEqual(made);
    expect((await app.owner.all(CATALOG)).find((row) => row.sku === sku)).toEqual(made);
  });

  test("needs nothing but its SKU", async () => {
    const sku = fresh("BARE");
    expect((await create({ sku })).expect(201).data).toMatchObject({
      sku,
      kind: "product",
      name: null,
      price: null,
    });
  });

  test("with a SKU that is taken is 409", async () => {
    const sku = fresh("TAKEN");
    (await create({ sku, name: "first" })).expect(201);
    refused(await create({ sku, name: "second" }), 409);
    expect((await app.owner.get(at(sku))).data.name).toBe("first");
  });

  test("that is not there is 404", async () => {
    refused(await app.owner.get(at("NOT-THERE")), 404);
    refused(await app.owner.patch(at("NOT-THERE"), { name: "x" }), 404);
  });
});

describe("X4 the list of one SKU", () => {
  const of = async (query) => (await app.owner.get(`${CATALOG}?${query}`)).expect(200).data;

  test("holds the item exactly, in every order and with other filters", async () => {
    const sku = fresh("EXACT");
    for (const other of [sku, `${sku}1`, sku.toLowerCase()]) await create({ sku: other, brand: "Fernway" });
    const item = (await app.owner.get(at(sku))).expect(200).data;
    expect(await of(`filter[sku]=${sku}`)).toEqual([item]);
    expect(await of(`sku=${sku}&sort=-created_at&filter[brand]=Fernway`)).toEqual([item]);
    expect(await of(`filter[sku]=${sku}&filter[brand]=other`)).toEqual([]);
  });

  test("reads the words that mean something else as a path", async () => {
    (await create({ sku: "uploads", name: "a pallet" })).expect(201);
    expect(await of("filter[sku]=uploads")).toMatchObject([{ sku: "uploads", name: "a pallet" }]);
    for (const sku of ["ingest", "exceptions"]) expect(await of(`filter[sku]=${sku}`)).toEqual([]);
  });
});

describe("S1 SKUs are visible ASCII without space or /, case kept, compared exactly", () => {
  const GOOD = [
    "a",
    "A",
    "0",
    "x".repeat(64),
    "A%B",
    "A+B",
    "100%",
    "%2F",
    "a?b#c&d=e",
    "\"'`\\",
    "[{(<|>)}]",
    "~!@$^*_-,;:",
    ".",
    "..",
    "...",
    "null",
    "-1",
    "A.json",
    "ingest2",
  ];
  test.each(GOOD)("%s", async (sku) => {
    expect((await create({ sku })).expect(201).data.sku).toBe(sku);
    expect((await app.owner.get(at(sku))).expect(200).data.sku).toBe(sku);
    await app.receive(sku, 2);
    expect(await app.onHand(sku)).toBe(2);
  });

  const BAD = [
    "ingest",
    "exceptions",
    "",
    " ",
    "a b",
    "a/b",
    "/",
    "a\tb",
    "a\n",
    "\u0000",
    "\u007f",
    "é",
    "日本",
    "x".repeat(65),
    " a",
    "a ",
  ];
  test.each(BAD.map((sku) => [JSON.stringify(sku).slice(0, 24), sku]))("not %s", async (_, sku) => {
    const answer = await create({ sku });
    // U+0000 is in no text at all; then it is the JSON that is wrong.
    if (sku === "\u0000" && answer.status === 400) return;
    refused(answer, 422, "sku");
  });

  test("two SKUs that differ in case are two items", async () => {
    await create({ sku: "Case-Kept", name: "mixed" });
    await create({ sku: "CASE-KEPT", name: "upper" });
    expect((await app.owner.get(at("Case-Kept"))).data.name).toBe("mixed");
    refused(await app.owner.get(at("case-kept")), 404);
  });
});

describe("X4 a body is read strictly", () => {
  const CASES = [
    ["sku", { sku: undefined }, { sku: null }, { sku: 5 }, { sku: ["A"] }],
    ["kind", { kind: "Product" }, { kind: "service" }, { kind: 1 }],
    ["name", { name: 5 }, { name: ["a"] }, { name: "x".repeat(60_000) }],
    [
      "cost",
      { cost: 12.5 },
      { cost: "12.50" },
      { cost: { amount: "12.50" } },
      { cost: { currency: "USD" } },
      { cost: { amount: 12.5, currency: "USD" } },
      { cost: { amount: "12.505", currency: "USD" } },
      { cost: { amount: "1e2", currency: "USD" } },
      { cost: { amount: "", currency: "USD" } },
      { cost: { amount: "12.50", currency: "usd" } },
      { cost: { amount: "12.50", currency: "DOLLAR" } },
      { cost: { amount: "99999999999999999999", currency: "USD" } },
      { cost: { amount: "-0.01", currency: "USD" } },
    ],
    ["price", { price: { amount: "-12.50", currency: "USD" } }],
    ["attributes", { attributes: [] }, { attributes: "x" }, { attributes: 5 }],
    ["barcodes", { barcodes: {} }, { barcodes: "4006381333931" }],
    ["barcodes[0].type", { barcodes: [{ type: "XYZ", code: "1" }] }, { barcodes: [{ code: "1" }] }],
    ["barcodes[1].code", { barcodes: [{ type: "EAN", code: "1" }, { type: "EAN" }] }],
    ["colour", { colour: "red" }],
    ["created_at", { created_at: "2020-01-01T00:00:00Z" }],
    ["org_id", { org_id: "0" }],
  ].flatMap(([field, ...cases]) =>
    cases.map((changes) => ({ field, changes, shown: JSON.stringify(changes).slice(0, 56) })),
  );

  test.each(CASES)("$field: $shown", async ({ field, changes }) => {
    const sku = fresh("STRICT");
    const { details } = refused(await create({ sku, ...changes }), 422);
    for (const detail of details)
      expect(detail.field === field || detail.field.startsWith(`${field}.`), detail.field).toBe(true);
    expect(details.length).toBeGreaterThan(0);
    refused(await app.owner.get(at(sku)), 404);
  });

  test("every problem is told at once", async () => {
    refused(
      await create({ sku: "a b", kind: "x", colour: 1, name: 5 }),
      422,
      "sku",
      "kind",
      "colour",
      "name",
    );
  });

  test.each(["[]", "null", '"sku"', "5"])("a body %s is no item", async (body) => {
    expect([400, 422]).toContain((await create(body)).status);
  });
});

describe("S1 a change", () => {
  test("touches what the body holds; null clears", async () => {
    const sku = fresh("PATCHED");
    const made = (await create({ sku, ...FULL })).data;
    const changed = (await app.owner.patch(at(sku), { name: "New name", brand: null, cost: null })).expect(
      200,
    ).data;
    expect(changed).toMatchObject({ ...FULL, name: "New name", brand: null, cost: null });
    expect(changed.created_at).toBe(made.created_at);
    expect(Date.parse(changed.updated_at)).toBeGreaterThanOrEqual(Date.parse(made.updated_at));
    expect((await app.owner.get(at(sku))).data).toEqual(changed);
  });

  test("of nothing changes nothing that is told", async () => {
    const sku = fresh("EMPTY-PATCH");
    const made = (await create({ sku, ...FULL })).data;
    const { updated_at, ...rest } = (await app.owner.patch(at(sku), {})).expect(200).data;
    expect(made).toMatchObject(rest);
    expect(updated_at).toEqual(expect.any(String));
  });

  test.each([
    ["sku", { sku: "OTHER" }],
    ["kind", { kind: "x" }],
    ["colour", { colour: 1 }],
    ["name", { name: 5 }],
    ["cost", { cost: { amount: "-1.00", currency: "USD" } }],
    ["price", { price: { amount: "-1.00", currency: "USD" } }],
  ])("of %s can be wrong", async (field, body) => {
    const sku = fresh("BAD-PATCH");
    await create({ sku });
    refused(await app.owner.patch(at(sku), body), 422, field);
  });

  test("X4 with a stale If-Match is 412", async () => {
    const sku = fresh("ETAG");
    const made = await create({ sku, name: "one" });
    const etag = (await app.owner.get(at(sku))).headers.etag;
    expect(etag).toMatch(/^(W\/)?"[^"]*"$/);
    expect(made.headers.etag).toBe(etag);
    const change = (name, match) => app.owner.patch(at(sku), { name }, { headers: { "If-Match": match } });
    const second = (await change("two", etag)).expect(200);
    expect(second.headers.etag).not.toBe(etag);
    refused(await change("three", etag), 412);
    refused(await change("three", '"nonsense"'), 412);
    expect((await app.owner.get(at(sku))).data.name).toBe("two");
    (await change("three", second.headers.etag)).expect(200);
    (await change("four", "*")).expect(200);
  });

  test("X4 twenty at once with one ETag: one wins", async () => {
    const sku = fresh("RACE");
    const { etag } = (await create({ sku })).headers;
    const options = { headers: { "If-Match": etag } };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => app.owner.patch(at(sku), { name: `n${i}` }, options)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const { status } of answers) expect([200, 409, 412]).toContain(status);
  });

  test("X4 an Idempotency-Key makes creating repeatable", async () => {
    const sku = fresh("KEYED");
    const headers = { "Idempotency-Key": fresh("k") };
    const first = (await create({ sku, name: "a" }, { headers })).expect(201).data;
    const again = await create({ sku, name: "a" }, { headers });
    expect([200, 201]).toContain(again.status);
    expect(again.data).toEqual(first);
    expect([409, 422]).toContain((await create({ sku: fresh("KEYED"), name: "b" }, { headers })).status);
  });
});
