// Lists: pages, sorts, filters and cursors, by the catalogue; what is common to all lists, on all of them.
import { beforeAll, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";

const app = useApp();
const CATALOG = "/api/v1/catalog";
const get = (query) => app.owner.get(`${CATALOG}?${query}`);
const skus = (answer) => answer.expect(200).data.map((row) => row.sku);
const COUNT = 117;

beforeAll(async () => {
  for (let i = 0; i < COUNT; i++) {
    const item = {
      sku: `L-${String((i * 7919) % COUNT).padStart(4, "0")}`,
      kind: i % 3 ? "product" : "part",
      brand: `B${i % 5}`,
    };
    (await app.owner.post(CATALOG, item)).expect(201);
  }
});

async function walk(query) {
  const pages = [];
  for (let cursor = ""; cursor !== null;) {
    const page = (await get(`${query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)).expect(200).json;
    pages.push(page);
    cursor = page.page.next_cursor;
  }
  return pages;
}

describe("X4 pages", () => {
  test("hold fifty rows unless told otherwise", async () => {
    const { data, page } = (await get("")).expect(200).json;
    expect(data).toHaveLength(50);
    expect(page).toEqual({ page: 1, page_size: 50, next_cursor: expect.any(String) });
  });

  test.each([1, 10, 50, 118, 500])("of %i rows by cursor: each row once, null at the end", async (size) => {
    const pages = size === 1 ? await walk("page_size=1&filter[brand]=B0") : await walk(`page_size=${size}`);
    const seen = pages.flatMap((page) => page.data.map((row) => row.sku));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe(size === 1 ? Math.ceil(COUNT / 5) : COUNT + 1);
    expect(pages.slice(0, -1).every((page) => page.data.length === size)).toBe(true);
    expect(pages.map((page) => page.page.page)).toEqual(pages.map((_, i) => i + 1));
  });

  test("by number are the same as by cursor", async () => {
    const pages = await walk("page_size=40");
    for (const [i, page] of pages.entries())
      expect(skus(await get(`page_size=40&page=${i + 1}`))).toEqual(page.data.map((row) => row.sku));
    expect(skus(await get("page_size=40&page=9"))).toEqual([]);
  });

  test.each([
    ["page_size", "page_size=0"],
    ["page_size", "page_size=5&page_size=6"],
    ["page", "page=1&page=1"],
    ["page_size", "page_size=501"],
    ["page_size", "page_size=-1"],
    ["page_size", "page_size=ten"],
    ["page_size", "page_size="],
    ["page_size", "page_size=1e2"],
    ["page_size", "page_size=99999999999999999999"],
    ["page", "page=0"],
    ["page", "page=-1"],
    ["page", "page=x"],
    ["page", "page=201&page_size=50"],
    ["page", "page=10001&page_size=1"],
    ["sort", "sort=colour"],
    ["sort", "sort=sku;drop"],
    ["sort", "sort="],
    ["filter[colour]", "filter[colour]=red"],
    ["filter[kind]", "filter[kind]=car"],
    ["cursor", "cursor=abc"],
    ["cursor", "cursor="],
    ["colour", "colour=red"],
  ])("%s: %s is 422", async (field, query) => {
    refused(await get(query), 422, field);
  });

  test("of all lists have the same limits", async () => {
    const lists = app.contract
      .operations()
      .filter(
        ({ method, path, operation }) =>
          method === "get" &&
          path.startsWith("/api/v1/") &&
          operation.parameters?.some((p) => p.name === "page_size") &&
          !operation.parameters.some((p) => p.required),
      );
    expect(lists.length).toBeGreaterThan(12);
    for (const { path } of lists) {
      expect((await app.owner.get(`${path}?page_size=500`)).expect(200).json.page.page_size).toBe(500);
      for (const query of ["page_size=501", "cursor=AAAA", "sort=nonsense", "nonsense=1"])
        refused(await app.owner.get(`${path}?${query}`), 422);
    }
  });
});

describe("X4 cursors are opaque and bound", () => {
  const cursor = async (query) => (await get(query)).expect(200).json.page.next_cursor;

  test("a changed one is 422, wherever it is changed", async () => {
    const good = await cursor("page_size=5");
    expect(good).not.toContain("L-0004");
    for (let i = 0; i < good.length; i += 3) {
      const bad = good.slice(0, i) + (good[i] === "A" ? "B" : "A") + good.slice(i + 1);
      const answer = await get(`page_size=5&cursor=${encodeURIComponent(bad)}`);
      // The last character of a base64 text may hold bits that say nothing.
      if (i < good.length - 1 || answer.status !== 200) refused(answer, 422, "cursor");
    }
    refused(await get(`page_size=5&cursor=${encodeURIComponent(good.slice(0, -4))}`), 422, "cursor");
    refused(await get(`page_size=5&cursor=${encodeURIComponent(good + good)}`), 422, "cursor");
  });

  test("to the sort, the filter, the list and the organisation", async () => {
    const good = await cursor("page_size=5");
    refused(await get(`page_size=5&sort=-created_at&cursor=${good}`), 422, "cursor");
    refused(await get(`page_size=5&filter[kind]=part&cursor=${good}`), 422, "cursor");
    refused(await app.owner.get(`/api/v1/places?page_size=5&cursor=${good}`), 422, "cursor");
    refused(await (await app.other()).get(`${CATALOG}?page_size=5&cursor=${good}`), 422, "cursor");
    (await get(`page_size=5&cursor=${good}`)).expect(200);
    (await (await app.as("viewer")).get(`${CATALOG}?page_size=5&cursor=${good}`)).expect(200);
  });
});

describe("X4 sorts and filters", () => {
  test("by SKU, in the order of its bytes on every database", async () => {
    const odd = ["Z-a", "Z-A", "Z-B", "Z-b", "Z_a", "Z.a", "z-a", "Z-10", "Z-9", "Z~"];
    for (const sku of odd) (await app.owner.post(CATALOG, { sku, category: "odd" })).expect(201);
    expect(skus(await get("sort=sku&filter[category]=odd"))).toEqual([...odd].sort());
    const pages = await walk("sort=sku&filter[category]=odd&page_size=2");
    expect(pages.flatMap((page) => page.data.map((row) => row.sku))).toEqual([...odd].sort());
  });

  test("newest first", async () => {
    const rows = (await walk("sort=-created_at&page_size=20")).flatMap((page) => page.data);
    const times = rows.map((row) => row.created_at);
    expect(times.map((time) => Date.parse(time))).toEqual(
      times.map((time) => Date.parse(time)).sort((a, b) => b - a),
    );
    expect(new Set(rows.map((row) => row.sku)).size).toBe(rows.length);
  });

  test("filters are combined", async () => {
    const rows = (await walk("filter[kind]=part&filter[brand]=B1&page_size=3")).flatMap((page) => page.data);
    expect(rows.length).toBe(
      Array.from({ length: COUNT }, (_, i) => i).filter((i) => i % 3 === 0 && i % 5 === 1).length,
    );
    expect(rows.every((row) => row.kind === "part" && row.brand === "B1")).toBe(true);
  });

  test("a value with marks in it is a value", async () => {
    for (const value of ["' OR 1=1 --", "%", "B_", "B0&x", "\\", "🚚"])
      expect(skus(await get(`filter[brand]=${encodeURIComponent(value)}`))).toEqual([]);
    refused(await get("filter[brand]=%ff"), 400);
  });
});
