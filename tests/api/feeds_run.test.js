// F4–F8, F12: a run of the feeds from a folder, on its own command, from its files to the tables.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../lib/server.js";
import { codes, query, storesCsv, writeFiles } from "../lib/feeds.js";

const DATE = "2026-11-25";
const STORES = codes(20);
const ROWS = 30;
let server = new Server();
const folder = (name) => path.join(server.folder, name);
const work = (...names) => path.join(server.folder, "feeds", "20261125", ...names);
const lines = (out) => out.trim().split("\n").filter(Boolean);
const events = (out) => lines(out).map((line) => JSON.parse(line));
const run = (...args) => server.cli(["run", "--date", DATE, ...args]);
const last = (list, bucket, phase) => list.filter((e) => e.bucket === bucket && e.phase === phase).at(-1);
const count = (table) => Number(query(server.env.DATABASE_URL, `SELECT count(*) FROM ${table}`)[0][0]);

async function setUp() {
  await server.command("db", "upgrade");
  await server.command("seed");
}
beforeAll(setUp, 60_000);
afterAll(() => server.remove());

async function fresh(name, ...args) {
  mkdirSync(folder(name), { recursive: true });
  writeFiles(folder(name), ...args);
  return folder(name);
}

describe("a run", () => {
  test("F1 with no store flagged ends with 2 and says so", async () => {
    const from = await fresh("none", ["ST01"], 2);
    const { status, stdout, stderr } = await run("--from", from);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^entrepot: .*etl_flag.*\n$/);
    writeFileSync(folder("stores.csv"), storesCsv(STORES));
    await server.command("stores", "import", folder("stores.csv"));
  });

  test("F8 --dry_run decides as the run does and writes nothing to the database", async () => {
    const from = await fresh("first", STORES, ROWS);
    const dry = await run("--from", from, "--dry_run");
    expect(dry.stderr).toBe("");
    expect(dry.status).toBe(0);
    const plan = last(events(dry.stdout), "missed_leads", "ingest");
    const all = STORES.length * ROWS;
    expect(plan.counts).toMatchObject({ ingested_rows: all, inserted_rows: all });
    expect(last(events(dry.stdout), "missed_leads", "merge").extras.sample[0]).toMatchObject({
      store_code: "ST01",
      pickup_no: "P0",
      pickup_date: "2026-11-25",
      is_order_placed: true,
    });
    expect(count("missed_leads")).toBe(0);
    expect(count("feed_run")).toBe(0);
    expect(readdirSync(folder("feeds")).filter((n) => n.includes("dry"))).toEqual([]);
    const real = await run("--from", from);
    expect(real.status).toBe(0);
    expect(last(events(real.stdout), "missed_leads", "ingest").counts).toEqual(plan.counts);
  }, 60_000);

  test("F4 F5 rows are merged, the last one wins, and stand in the tables as their types say", () => {
    const all = STORES.length * ROWS;
    for (const table of ["missed_leads", "undelivered_orders", "repeat_customers"])
      expect(count(table)).toBe(all);
    const url = server.env.DATABASE_URL;
    const leads = query(
      url,
      "SELECT pickup_row_id, pickup_created_date, pickup_date, customer_name, special_instruction," +
        " final_source, is_order_placed FROM missed_leads WHERE store_code = 'ST02'" +
        " AND pickup_no IN ('P0', 'P1', 'P2') ORDER BY pickup_no",
    );
    const yes = url.startsWith("postgres") ? ["t", "f"] : ["1", "0"];
    expect(leads).toEqual([
      ["0", "2026-11-01", "2026-11-25", "Name, 0", 'say "hi"', "open", yes[0]],
      ["1", "2026-11-02", "2026-11-25", "Name, 1", 'say "hi"', "open", yes[1]],
      ["2", "2026-11-03", "2026-11-25", "Name, 2", 'say "hi"', "open", yes[1]],
    ]);
    const orders = query(
      url,
      "SELECT order_date, taxable_amount, net_amount, actual_deliver_on FROM undelivered_orders" +
        " WHERE store_code = 'ST03' AND order_id = 'O5'",
    );
    expect(orders).toEqual([["2026-11-25", "1105.50", "-0.10", ""]]);
  });

  test("F6 counts add up and the files that may go are gone; those of --from stay", () => {
    const all = STORES.length * ROWS;
    const [bucket] = query(
      server.env.DATABASE_URL,
      "SELECT rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows, inserted_rows, state" +
        " FROM feed_run_bucket WHERE bucket = 'missed_leads'",
    );
    expect(bucket).toEqual([all + 20, all, 0, 20, 0, all, "done"].map(String));
    expect(existsSync(work("merged_missed_leads_20261125.csv"))).toBe(false);
    expect(readdirSync(folder("first"))).toHaveLength(20);
  });

  test("F5 the same again changes nothing, some changed rows are updated", async () => {
    const again = events((await run("--from", folder("first"))).stdout);
    expect(last(again, "repeat_customers", "ingest").counts).toMatchObject({
      inserted_rows: 0,
      updated_rows: 0,
      unchanged_rows: STORES.length * ROWS,
    });
    writeFiles(folder("first"), ["ST01"], ROWS, { version: "closed" });
    const changed = events((await run("--from", folder("first"))).stdout);
    expect(last(changed, "repeat_customers", "ingest").counts).toMatchObject({
      inserted_rows: 0,
      updated_rows: ROWS,
      unchanged_rows: (STORES.length - 1) * ROWS,
    });
  }, 60_000);

  test("F12 a file that has shrunk stops its bucket before it writes; the others go on", async () => {
    const from = await fresh("shrunk", STORES, ROWS, { version: "later" });
    for (const store of STORES.slice(1)) rmSync(path.join(from, store, `repeat_${store}.csv`));
    const { status, stdout } = await run("--from", from);
    expect(status).toBe(1);
    expect(last(events(stdout), "repeat_customers", "ingest")).toMatchObject({ status: "error" });
    expect(last(events(stdout), "repeat_customers", "ingest").message).toMatch(/last run had 600/);
    expect(last(events(stdout), "undelivered_all", "ingest").status).toBe("error"); // all rows would change
    const url = server.env.DATABASE_URL;
    expect(query(url, "SELECT count(*) FROM repeat_customers WHERE status = 'later'")).toEqual([["0"]]);
    expect(existsSync(work("merged_repeat_customers_20261125.csv"))).toBe(true);
  }, 60_000);
});

describe("a run of files with faults", () => {
  beforeAll(async () => {
    await server.remove();
    server = new Server();
    await setUp();
    writeFileSync(folder("stores.csv"), storesCsv(STORES));
    await server.command("stores", "import", folder("stores.csv"));
  }, 60_000);

  test("F5 bad values are rejected with their place, reason and bytes, and keep the files", async () => {
    const from = folder("bad");
    mkdirSync(from);
    writeFileSync(
      path.join(from, "undelieverd_order_x.csv"),
      "order_id,order_date,store_code,net_amount,extra\n" +
        "R1,25-11-2026,ST01,10.5,x\nR2,31/02/2026,ST01,1,x\nR3,2026-11-25,ST01,12x,x\n" +
        "R4,2026-11-25,ST99,1,x\n,2026-11-25,ST01,1,x\nR6,2026-11-25,ST01\n",
    );
    const { status, stdout } = await run("--from", from);
    const list = events(stdout);
    expect(last(list, "undelivered_all", "audit")).toMatchObject({ status: "warn" });
    expect(list.some((e) => e.status === "warn" && e.message.includes("extra"))).toBe(true);
    expect(last(list, "undelivered_all", "audit").counts).toMatchObject({
      download_total: 6,
      ingested_rows: 1,
      rejected_rows: 4,
      skipped_rows: 1,
      duplicate_rows: 0,
    });
    expect(status).toBe(0);
    const rejects = readFileSync(work("rejects_undelivered_all_20261125.csv"), "utf8").split("\n");
    expect(rejects[0]).toBe("line,byte_offset,column,reason,raw");
    expect(rejects.find((l) => l.includes("R2"))).toMatch(/^3,\d+,order_date,.*not a date.*R2/);
    expect(rejects.find((l) => l.includes("R3"))).toMatch(/,net_amount,.*decimal/);
    expect(existsSync(work("merged_undelivered_all_20261125.csv"))).toBe(true);
    // F12 repaired rows fed again converge
    writeFileSync(
      path.join(from, "undelieverd_order_x.csv"),
      "order_id,order_date,store_code,net_amount\nR1,25-11-2026,ST01,10.5\nR2,28/02/2026,ST01,1\n" +
        "R3,2026-11-25,ST01,12\n",
    );
    const repaired = events((await run("--from", from)).stdout);
    const { counts } = last(repaired, "undelivered_all", "ingest");
    expect(counts).toMatchObject({ inserted_rows: 2, unchanged_rows: 1 });
    expect(last(repaired, "undelivered_all", "cleanup")).toMatchObject({ status: "ok" });
    expect(existsSync(work("rejects_undelivered_all_20261125.csv"))).toBe(false);
  }, 60_000);

  test("F4 a file without a key column fails alone; the others are taken, status 1", async () => {
    mkdirSync(folder("first"));
    const from = await fresh("broken", STORES.slice(0, 2), 3, { version: "z" });
    writeFileSync(path.join(from, "repeat_broken.csv"), "Store Code,Status\nST01,x\n");
    const { status, stdout } = await run("--from", from);
    expect(status).toBe(1);
    const list = events(stdout);
    expect(list.some((e) => e.phase === "error" && e.message.includes("repeat_broken.csv"))).toBe(true);
    expect(last(list, "repeat_customers", "ingest").counts.ingested_rows).toBe(6);
    expect(last(list, "missed_leads", "cleanup")).toMatchObject({ status: "ok" });
  }, 60_000);

  test("F8 a folder without files, a feed that is not there, a bad date", async () => {
    mkdirSync(folder("empty"));
    expect((await run("--from", folder("empty"))).status).toBe(2);
    expect((await run("--from", folder("first"), "--bucket", "nothing")).status).toBe(2);
    expect((await server.cli(["run", "--date", "2026-02-30"])).status).not.toBe(0);
    rmSync(folder("empty"), { recursive: true });
  });
});
