// F6, F8: a run of the feeds is killed again and again and begun anew; in the end tables, counts, rejects and
// files are those of a run that nobody disturbed. KILLS is how often (20).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { BINARY } from "../lib/folder.js";
import { codes, query, storesCsv, writeFiles } from "../lib/feeds.js";
import { Server } from "../lib/server.js";

const KILLS = Number(process.env.KILLS ?? 20);
const STORES = codes(20);
const ARGS = ["run", "--date", "2026-11-25", "--from"];
const servers = [];
afterAll(async () => {
  for (const server of servers) await server.remove();
});

async function ready() {
  const server = new Server({ INGEST_BATCH_SIZE: "200" });
  servers.push(server);
  await server.command("db", "upgrade");
  await server.command("seed");
  const from = path.join(server.folder, "from");
  mkdirSync(from);
  writeFiles(from, STORES, 200);
  const bad = "order_id,order_date,store_code\nX1,31/02/2026,ST01\n";
  writeFileSync(path.join(from, "undelieverd_order_bad.csv"), bad);
  writeFileSync(path.join(server.folder, "stores.csv"), storesCsv(STORES));
  await server.command("stores", "import", path.join(server.folder, "stores.csv"));
  return { server, from };
}

// Killed after a while: true when it had not ended by itself before.
function killed(server, from, after) {
  return new Promise((resolve, reject) => {
    const child = spawn(BINARY, [...ARGS, from], { env: server.env, cwd: server.folder, stdio: "ignore" });
    const timer = setTimeout(() => child.kill("SIGKILL"), after);
    child.once("error", reject);
    child.once("exit", (status, signal) => {
      clearTimeout(timer);
      resolve(signal === "SIGKILL");
    });
  });
}

function state({ server }) {
  const url = server.env.DATABASE_URL;
  const table = (name) => query(url, `SELECT count(*) FROM ${name}`);
  const rows = query(
    url,
    "SELECT store_code, order_id, order_date, net_amount, status FROM undelivered_orders ORDER BY 1, 2",
  );
  const work = path.join(server.folder, "feeds", "20261125");
  return {
    tables: ["missed_leads", "undelivered_orders", "repeat_customers"].map(table),
    rows,
    buckets: query(
      url,
      "SELECT bucket, phase, state, rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows," +
        " inserted_rows, updated_rows, unchanged_rows FROM feed_run_bucket ORDER BY bucket",
    ),
    stores: query(
      url,
      "SELECT bucket, store_code, rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows" +
        " FROM feed_run_store ORDER BY 1, 2",
    ),
    runs: query(url, "SELECT state FROM feed_run"),
    files: readdirSync(work)
      .sort()
      .map((name) => [name, readFileSync(path.join(work, name), "utf8")]),
  };
}

test("F8 kill -9 at any point, then the same command again: as if nothing had been", async () => {
  const calm = await ready();
  const began = Date.now();
  expect((await calm.server.cli([...ARGS, calm.from])).status).toBe(0);
  const whole = Date.now() - began;
  const wanted = state(calm);
  let hits = 0;
  for (let done = 0; done < KILLS; ) {
    const one = await ready();
    // As often as it takes to come to the end, at most ten times.
    for (let i = 0; i < 10 && done < KILLS; i++, done++) {
      const hit = await killed(one.server, one.from, 20 + ((done * 61) % whole));
      hits += hit;
      if (!hit) break;
    }
    const end = await one.server.cli([...ARGS, one.from]);
    if (state(one).runs.length === 1) expect(state(one)).toEqual(wanted);
    expect(state(one).rows).toEqual(wanted.rows);
    expect(state(one).tables).toEqual(wanted.tables);
    expect([0, 1]).toContain(end.status);
  }
  expect(hits).toBeGreaterThan(0);
}, 600_000);
