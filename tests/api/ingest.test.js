// W1: scans. Good ones receive stock, once; bad ones are refused by field and kept until they are repaired.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const INGEST = "/api/v1/catalog/ingest";
const EXCEPTIONS = "/api/v1/catalog/exceptions";
const scan = (body, options) => app.owner.post(INGEST, body, options);
const exceptions = () => app.owner.all(EXCEPTIONS);

describe("W1 one scan", () => {
  test("of a new SKU makes the item and receives stock", async () => {
    const sku = fresh("NEW");
    const result = (await scan({ sku, name: "A thing", quantity: 3, barcode: "4006381333931" })).expect(
      201,
    ).data;
    expect(result).toEqual({
      sku,
      quantity: 3,
      place: "warehouse",
      created: true,
      move_id: expect.any(String),
    });
    const item = (await app.owner.get(`/api/v1/catalog/${sku}`)).expect(200).data;
    expect(item.name).toBe("A thing");
    expect(item.barcodes.map(({ code }) => code)).toEqual(["4006381333931"]);
    const [move] = await app.moves(sku);
    expect(move).toMatchObject({ id: result.move_id, quantity: 3, from: "supplier", to: "warehouse" });
  });

  test("of a known SKU receives stock and leaves the item as it is", async () => {
    const sku = await app.item(fresh("KNOWN"));
    expect((await scan({ sku, name: "Other", quantity: 3 })).expect(201).data).toMatchObject({
      created: false,
    });
    expect((await app.owner.get(`/api/v1/catalog/${sku}`)).data.name).toBe(sku);
    expect(await app.onHand(sku)).toBe(3);
  });

  test("of quantity zero makes or touches the item without a move", async () => {
    const sku = fresh("ZERO");
    expect((await scan({ sku, quantity: 0 })).expect(201).data).toMatchObject({
      created: true,
      move_id: null,
    });
    const again = await scan({ sku, quantity: 0 });
    expect([200, 201]).toContain(again.status);
    expect(again.data).toMatchObject({ created: false, move_id: null });
    expect(await app.moves(sku)).toEqual([]);
  });

  test("goes where it says", async () => {
    const sku = fresh("PLACED");
    (await app.owner.post("/api/v1/places", { code: "box-17", kind: "box" })).expect(201);
    expect((await scan({ sku, quantity: 2, location: "box-17" })).expect(201).data.place).toBe("box-17");
    expect([await app.onHand(sku, "box-17"), await app.onHand(sku)]).toEqual([2, 0]);
  });

  test("is repeated by its scan_id: 200 with the first result", async () => {
    const body = { sku: fresh("REPEATED"), quantity: 2, scan_id: fresh("scan") };
    const first = (await scan(body)).expect(201).data;
    const again = (await scan(body)).expect(200).data;
    expect(again).toMatchObject({ sku: body.sku, quantity: 2, move_id: first.move_id });
    expect(await app.onHand(body.sku)).toBe(2);
  });

  test("is repeated by its Idempotency-Key: 200 with the first answer", async () => {
    const sku = fresh("KEYED");
    const headers = { "Idempotency-Key": fresh("key") };
    const first = (await scan({ sku, quantity: 2 }, { headers })).expect(201).data;
    expect((await scan({ sku, quantity: 2 }, { headers })).expect(200).data).toEqual(first);
    expect(await app.onHand(sku)).toBe(2);
  });

  test("sent thirty times at once counts once", async () => {
    const body = { sku: fresh("AT-ONCE"), quantity: 2, scan_id: fresh("scan") };
    const answers = await Promise.all(Array.from({ length: 30 }, () => scan(body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(29).fill(200), 201]);
    expect(await app.onHand(body.sku)).toBe(2);
  });

  test("different scans of one new SKU at once all count", async () => {
    const sku = fresh("NEW-AT-ONCE");
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => scan({ sku, quantity: i + 1 })));
    expect(answers.map((answer) => answer.expect(201).data.created).filter(Boolean)).toHaveLength(1);
    expect(await app.onHand(sku)).toBe(210);
  });
});

describe("W1 a bad scan is 422, names its fields, and is kept", () => {
  const CASES = [
    ["sku", { quantity: 1 }],
    ["sku", { sku: "", quantity: 1 }],
    ["sku", { sku: "a b", quantity: 1 }],
    ["sku", { sku: "größe", quantity: 1 }],
    ["sku", { sku: "x".repeat(65), quantity: 1 }],
    ["sku", { sku: 17, quantity: 1 }],
    ["quantity", { sku: "BAD-SCAN" }],
    ["quantity", { sku: "BAD-SCAN", quantity: -1 }],
    ["quantity", { sku: "BAD-SCAN", quantity: 1.5 }],
    ["quantity", { sku: "BAD-SCAN", quantity: "3" }],
    ["quantity", { sku: "BAD-SCAN", quantity: null }],
    ["location", { sku: "BAD-SCAN", quantity: 1, location: "nowhere" }],
    ["name", { sku: "BAD-SCAN", quantity: 1, name: 5 }],
    ["colour", { sku: "BAD-SCAN", quantity: 1, colour: "red" }],
  ];
  test.each(CASES)("%s: %j", async (field, body) => {
    const before = await exceptions();
    refused(await scan(body), 422, field);
    const [kept, ...rest] = await exceptions();
    expect(rest).toEqual(before);
    expect(kept.state).toBe("open");
    expect(kept.problems.map((problem) => problem.field)).toEqual([field]);
    expect(JSON.parse(kept.body)).toEqual(body);
    refused(await app.owner.get("/api/v1/catalog/BAD-SCAN"), 404);
  });

  test("what is not JSON is 400 and is not kept", async () => {
    const before = await exceptions();
    refused(await scan('{"sku":'), 400);
    expect(await exceptions()).toEqual(before);
  });
});

describe("W1 an array of scans", () => {
  test("answers row by row; the bad ones are kept, the good ones count", async () => {
    const [a, b] = [fresh("ROW"), fresh("ROW")];
    const before = (await exceptions()).length;
    const rows = [
      { sku: a, quantity: 2 },
      { sku: "a b", quantity: 1 },
      { sku: b, quantity: 0 },
      { sku: a, quantity: 5 },
      { sku: b, quantity: -4 },
      17,
      { sku: a, quantity: 1, location: "nowhere" },
    ];
    const results = (await scan(rows)).expect(200).data;
    expect(results.map(({ index }) => index)).toEqual(rows.map((_, i) => i));
    expect(results.map(({ problem }) => problem === null)).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(results.map(({ result }) => result !== null)).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(results[0].result).toMatchObject({ sku: a, quantity: 2, created: true });
    expect(JSON.stringify(results[4].problem)).toContain("quantity");
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([7, 0]);
    expect((await exceptions()).length).toBe(before + 4);
  });

  test("repeated by scan_id counts once", async () => {
    const rows = Array.from({ length: 50 }, () => ({
      sku: fresh("BULK"),
      quantity: 1,
      scan_id: fresh("bulk"),
    }));
    const first = (await scan(rows)).expect(200).data;
    const again = (await scan(rows)).expect(200).data;
    expect(again.map(({ result }) => result.move_id)).toEqual(first.map(({ result }) => result.move_id));
    expect(await app.onHand(rows[49].sku)).toBe(1);
  });

  test("may be empty", async () => {
    expect((await scan([])).expect(200).data).toEqual([]);
  });
});

describe("W1 an exception", () => {
  const newest = async () => (await exceptions())[0];
  const replay = (id, body) => app.owner.post(`${EXCEPTIONS}/${id}/replay`, body);

  test("is repaired and replayed, once", async () => {
    const sku = fresh("REPAIRED");
    refused(await scan({ sku, quantity: -2 }), 422);
    const { id } = await newest();
    refused(await replay(id, { sku, quantity: "2" }), 422, "quantity");
    expect(await newest()).toMatchObject({ id, state: "open" });
    (await replay(id, { sku, quantity: 2 })).expect(201);
    expect((await exceptions()).find((row) => row.id === id).state).toBe("resolved");
    refused(await replay(id, { sku, quantity: 2 }), 409);
    expect(await app.onHand(sku)).toBe(2);
  });

  test("is replayed as it came when the world has changed", async () => {
    const sku = fresh("LATER-PLACE");
    refused(await scan({ sku, quantity: 2, location: "box-later" }), 422, "location");
    const { id } = await newest();
    refused(await replay(id), 422, "location");
    (await app.owner.post("/api/v1/places", { code: "box-later", kind: "box" })).expect(201);
    (await replay(id)).expect(201);
    expect(await app.onHand(sku, "box-later")).toBe(2);
  });

  test("is filtered by state", async () => {
    const open = await app.owner.all(`${EXCEPTIONS}?filter[state]=open`);
    expect(open.every((row) => row.state === "open")).toBe(true);
    refused(await app.owner.get(`${EXCEPTIONS}?filter[state]=x`), 422);
  });

  test.each(["00000000-0000-7000-8000-000000000000", "nonsense", "1"])("%s is not there", async (id) => {
    refused(await replay(id), 404);
  });

  test("twenty replays at once: one is applied", async () => {
    const sku = fresh("REPLAY-RACE");
    refused(await scan({ sku, quantity: -2 }), 422);
    const { id } = await newest();
    const answers = await Promise.all(Array.from({ length: 20 }, () => replay(id, { sku, quantity: 2 })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await app.onHand(sku)).toBe(2);
  });
});
