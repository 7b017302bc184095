// Places: the four that are there from the start, and those that people make.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const PLACES = "/api/v1/places";
const STANDARD = ["adjustment", "customer", "supplier", "warehouse"];

describe("S2 places", () => {
  test.each(["the first organisation", "a new organisation"])("%s has the standard ones", async (which) => {
    const client = which.startsWith("a") ? await app.other() : app.owner;
    const rows = await client.all(PLACES);
    expect(rows.map(({ code }) => code).sort()).toEqual(STANDARD);
    for (const { code, kind, bounded } of rows) expect([kind, bounded]).toEqual([code, code === "warehouse"]);
  });

  test.each([
    ["box", true],
    ["channel", true],
    ["warehouse", true],
    ["supplier", false],
    ["customer", false],
    ["adjustment", false],
  ])("a %s can be made; bounded: %s", async (kind, bounded) => {
    const body = { code: fresh(`P-${kind}`), kind, name: `A ${kind}` };
    const made = (await app.owner.post(PLACES, body)).expect(201).data;
    expect(made).toMatchObject({ ...body, bounded });
    expect((await app.owner.get(`${PLACES}/${body.code}`)).expect(200).data).toEqual(made);
  });

  test("a code that is taken is 409", async () => {
    refused(await app.owner.post(PLACES, { code: "warehouse", kind: "box" }), 409);
    expect((await app.owner.get(`${PLACES}/warehouse`)).data.kind).toBe("warehouse");
  });

  test.each([
    ["code", { kind: "box" }],
    ["code", { code: "", kind: "box" }],
    ["code", { code: "a/b", kind: "box" }],
    ["code", { code: "a b", kind: "box" }],
    ["code", { code: ".", kind: "box" }],
    ["code", { code: "..", kind: "box" }],
    ["code", { code: "x".repeat(65), kind: "box" }],
    ["kind", { code: "p" }],
    ["kind", { code: "p", kind: "shelf" }],
    ["kind", { code: "p", kind: null }],
    ["name", { code: "p", kind: "box", name: 7 }],
    ["colour", { code: "p", kind: "box", colour: "red" }],
  ])("%s: %j is 422", async (field, body) => {
    refused(await app.owner.post(PLACES, body), 422, field);
  });

  test("a name can change, a code and a kind cannot", async () => {
    const code = fresh("NAMED");
    (await app.owner.post(PLACES, { code, kind: "box", name: "Before" })).expect(201);
    expect((await app.owner.patch(`${PLACES}/${code}`, { name: "After" })).expect(200).data.name).toBe(
      "After",
    );
    expect((await app.owner.patch(`${PLACES}/${code}`, { name: null })).expect(200).data.name).toBeNull();
    refused(await app.owner.patch(`${PLACES}/${code}`, { code: "x" }), 422, "code");
    refused(await app.owner.patch(`${PLACES}/${code}`, { kind: "warehouse" }), 422, "kind");
  });

  test("one that never held stock can go", async () => {
    const code = fresh("GONE");
    (await app.owner.post(PLACES, { code, kind: "box" })).expect(201);
    expect((await app.owner.delete(`${PLACES}/${code}`)).expect(204).text).toBe("");
    refused(await app.owner.get(`${PLACES}/${code}`), 404);
    refused(await app.owner.delete(`${PLACES}/${code}`), 404);
    refused(await app.owner.patch(`${PLACES}/${code}`, { name: "x" }), 404);
  });

  test("one with a history stays", async () => {
    const code = fresh("USED");
    (await app.owner.post(PLACES, { code, kind: "box" })).expect(201);
    const sku = await app.item(fresh("ITEM"), { stock: 2, place: code });
    const out = { sku, quantity: 2, from: code, to: "warehouse", reason: "clear" };
    (await app.owner.post("/api/v1/stock/moves", out)).expect(201);
    refused(await app.owner.delete(`${PLACES}/${code}`), 409);
  });

  test.each(STANDARD)("%s stays", async (code) => {
    refused(await app.owner.delete(`${PLACES}/${code}`), 409);
  });
});

describe("S2 levels", () => {
  test("are listed by item and by place", async () => {
    const code = fresh("LEVELS");
    (await app.owner.post(PLACES, { code, kind: "box" })).expect(201);
    const [a, b] = [
      await app.item(fresh("LV"), { stock: 3, place: code }),
      await app.item(fresh("LV"), { stock: 4 }),
    ];
    expect((await app.owner.all(`/api/v1/stock?place=${code}`)).map((row) => row.sku)).toEqual([a]);
    const rows = await app.owner.all(`/api/v1/stock?sku=${b}`);
    expect(rows.map((row) => [row.place, row.on_hand])).toEqual([
      ["supplier", -4],
      ["warehouse", 4],
    ]);
    expect(await app.owner.all(`/api/v1/stock?sku=${a}&place=warehouse`)).toEqual([]);
  });
});
