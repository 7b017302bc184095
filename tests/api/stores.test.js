// F1: the list of stores, by API and by file, and the rule that only what is taken in can be reported.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const app = useApp();
const STORES = "/api/v1/stores";
const HEADER = "store_code,store_name,etl_flag,report_flag\n";
const create = async (changes = {}) =>
  (
    await app.owner.post(STORES, { store_code: fresh("S"), store_name: "North", etl_flag: true, ...changes })
  ).expect(201).data;

async function load(text, ...more) {
  const file = path.join(app.server.folder, `${fresh("stores")}.csv`);
  writeFileSync(file, text);
  return app.server.cli(["stores", "import", file, "--json", ...more]);
}
const good = async (...args) => {
  const { status, stdout, stderr } = await load(...args);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout);
};

describe("F1 stores", () => {
  test("are made, shown, changed and removed, each change in the audit trail", async () => {
    const made = await create();
    const one = `${STORES}/${made.store_code}`;
    expect(made).toMatchObject({ store_name: "North", etl_flag: true, report_flag: false });
    const changed = (await app.owner.patch(one, { report_flag: true, store_name: null })).expect(200).data;
    expect(changed).toMatchObject({ store_name: null, etl_flag: true, report_flag: true });
    expect((await app.owner.get(one)).expect(200).data).toEqual(changed);
    (await app.owner.delete(one)).expect(204);
    refused(await app.owner.get(one), 404);
    const trail = await app.owner.all(`/api/v1/audit?filter[target]=${made.store_code}`);
    expect(trail.map(({ action }) => action)).toEqual(["store.remove", "store.change", "store.create"]);
  });

  test("a code that is taken is 409, a stale ETag 412", async () => {
    const made = await create();
    refused(await app.owner.post(STORES, { store_code: made.store_code }), 409);
    const one = `${STORES}/${made.store_code}`;
    const etag = (await app.owner.get(one)).headers.etag;
    (await app.owner.patch(one, { store_name: "A" }, { headers: { "If-Match": etag } })).expect(200);
    refused(
      await app.owner.patch(one, { store_name: "B" }, { headers: { "If-Match": etag } }),
      412,
    );
  });

  test.each([
    ["store_code", {}],
    ["store_code", { store_code: "a b" }],
    ["store_code", { store_code: ".." }],
    ["store_code", { store_code: "a/b" }],
    ["store_code", { store_code: "x".repeat(65) }],
    ["etl_flag", { store_code: "q", etl_flag: 1 }],
    ["report_flag", { store_code: "q", report_flag: true }],
    ["colour", { store_code: "q", colour: "red" }],
  ])("%s is refused: %o", async (field, body) => {
    refused(await app.owner.post(STORES, body), 422, field);
  });

  test("etl_flag cannot be taken from a store that is reported", async () => {
    const made = await create({ report_flag: true });
    refused(await app.owner.patch(`${STORES}/${made.store_code}`, { etl_flag: false }), 422, "report_flag");
  });

  test("are listed in pages, filtered, and one organisation's alone", async () => {
    const other = await app.other();
    await other.post(STORES, { store_code: "mine" });
    for (let i = 0; i < 5; i++) await create({ etl_flag: false });
    const off = await app.owner.all(`${STORES}?filter[etl_flag]=false`);
    expect(off.length).toBeGreaterThanOrEqual(5);
    expect(off.every(({ etl_flag }) => !etl_flag)).toBe(true);
    const codes = (await app.owner.all(STORES)).map(({ store_code }) => store_code);
    expect(codes).toEqual(codes.toSorted());
    expect(codes).not.toContain("mine");
    const page = (await app.owner.get(`${STORES}?page_size=2`)).expect(200);
    const next = page.json.page.next_cursor;
    const after = `${STORES}?page_size=2&cursor=${encodeURIComponent(next)}`;
    const second = (await app.owner.get(after)).expect(200);
    expect([...page.data, ...second.data].map(({ store_code }) => store_code)).toEqual(codes.slice(0, 4));
    expect((await other.all(STORES)).map(({ store_code }) => store_code)).toEqual(["mine"]);
  });
});

describe("F1 entrepot stores import", () => {
  test("makes, changes and leaves, beside a server; other spellings of headers and flags", async () => {
    const [a, b] = [fresh("I"), fresh("I")];
    const first = await good(`${HEADER}${a},Ä & Söhne,1,1\r\n\r\n${b},"South, ""old""",0,0\r\n`);
    expect(first).toMatchObject({ organisation: "default", stores: 2, created: 2, changed: 0 });
    const second = await good(
      "\ufeffReport_Flag; Store_Code ;ETL_FLAG;City;store_name\n" +
        `no;${b};yes;X;"South, ""old"""\nTRUE;${a};y;Y;Ä & Söhne\n`,
    );
    expect(second).toMatchObject({ created: 0, changed: 1, unchanged: 1, ignored: "City" });
    expect((await app.owner.get(`${STORES}/${b}`)).data).toMatchObject({
      store_name: 'South, "old"',
      etl_flag: true,
    });
  });

  test("all or nothing: every bad row is named by line and column", async () => {
    const code = fresh("I");
    const { status, stderr } = await load(
      `${HEADER}${code},A,1,1\nbad code,B,1,0\n${code}x,C,maybe,0\n${code}y,D,0,1\n${code},E,1,0\n`,
    );
    expect(status).toBe(1);
    for (const said of [
      "line 3, store_code must be",
      "line 4, etl_flag must be 1 or 0",
      "line 5, report_flag needs etl_flag",
      "line 6, store_code stands on line 2 already",
    ])
      expect(stderr).toContain(said);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    refused(await app.owner.get(`${STORES}/${code}`), 404);
  });

  test.each([
    ["", "The file is empty"],
    ["store_code,store_name\nx,y\n", "etl_flag is missing in the header"],
    [`store_code,${HEADER}`, "store_code stands there twice"],
    [`${HEADER}"x,y,1,0\n`, "line 2"],
  ])("is refused: %o", async (text, said) => {
    const { status, stderr } = await load(text);
    expect(status).toBe(1);
    expect(stderr).toContain(said);
  });

  test("a file that is not there, an organisation that is not there", async () => {
    const none = await app.server.cli(["stores", "import", "/nowhere.csv"]);
    expect(none).toMatchObject({ status: 2 });
    expect(none.stderr).toContain("/nowhere.csv cannot be read");
    expect((await load(`${HEADER}x,y,1,0\n`, "--org", "nobody")).status).toBe(1);
  });

  test("into the organisation that is named", async () => {
    const client = await app.other();
    const code = fresh("O");
    await good(`${HEADER}${code},There,1,0\n`, "--org", "other-company");
    expect((await client.get(`${STORES}/${code}`)).expect(200).data.etl_flag).toBe(true);
    refused(await app.owner.get(`${STORES}/${code}`), 404);
  });
});
