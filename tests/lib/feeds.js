// Files of stores as their exports are, and what a database has of them.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { DATABASE } from "./folder.js";

export const codes = (n) => Array.from({ length: n }, (_, i) => `ST${String(i + 1).padStart(2, "0")}`);

// The header of each feed's files, and row i of a store: the last occurrence of a key says `version`.
const FEEDS = {
  missed_leads: {
    file: (store) => `pickup_${store}.csv`,
    header:
      "id,Mobile_Number,pickup_no,pickup_created_date,pickup_created_time,store_code,store_name," +
      "pickup_date,pickup_time,customer_name,special_instruction,source,final_source,customer_type," +
      "is_order_placed",
    row: (store, i, version) =>
      `${i},90000${i},P${i},2026-11-${String((i % 28) + 1).padStart(2, "0")},10:0${i % 10},${store},` +
      `Store ${store},25-11-2026 10:30,11:00,"Name, ${i}","say ""hi""",web,${version},new,` +
      ["1", "0", "yes"][i % 3],
  },
  undelivered_all: {
    file: (store) => `undelieverd_order_${store}.csv`,
    header:
      "order_id,order_date,store_code,store_name,taxable_amount,net_amount,service_code,mobile_no,status," +
      "customer_id,expected_deliver_on,actual_deliver_on",
    row: (store, i, version) =>
      `O${i},25/11/2026,${store},Store ${store},"1,${100 + i}.5",-0.10,DRY,91000${i},${version},C${i},` +
      "2026-11-30,",
  },
  repeat_customers: {
    file: (store) => `repeat_${store}.csv`,
    header: "Store Code, MOBILE NO. ,Status",
    row: (store, i, version) => `${store},92000${i},${version}`,
  },
};

// Of each store and feed one file with n rows, of which the first comes twice.
export function writeFiles(folder, stores, n, { version = "open", feeds = Object.keys(FEEDS) } = {}) {
  for (const store of stores)
    for (const name of feeds) {
      const feed = FEEDS[name];
      const rows = Array.from({ length: n }, (_, i) => feed.row(store, i, version));
      const text = `\u{feff}${[feed.header, feed.row(store, 0, "old"), ...rows].join("\r\n")}\r\n`;
      mkdirSync(path.join(folder, store), { recursive: true });
      writeFileSync(path.join(folder, store, feed.file(store)), text);
    }
}

export function storesCsv(stores) {
  const rows = stores.map((s) => `${s},Store ${s},1,1`);
  return ["store_code,store_name,etl_flag,report_flag", ...rows].join("\n");
}

// Rows of a query as arrays of texts, NULL as "", behind the server's back. The organisations are all looked
// at.
export function query(url, sql) {
  if (DATABASE === "postgres") {
    const name = /@\/(\w+)/.exec(url)[1];
    const at = new URL(process.env.TEST_POSTGRES.replace("@/", "@localhost/"));
    const where = ["-h", at.searchParams.get("host"), "-p", at.searchParams.get("port"), "-U", "postgres"];
    const how = ["-qAtX", "-F", "\t", "-d", name, ...where, "-c", sql];
    const out = execFileSync("psql", how, { encoding: "utf8", maxBuffer: 64 << 20 });
    return out
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("\t"));
  }
  const { DatabaseSync } = createRequire(import.meta.url)("node:sqlite");
  const file = new DatabaseSync(url.replace("sqlite://", ""), { readOnly: true });
  try {
    return file
      .prepare(sql)
      .all()
      .map((row) => Object.values(row).map((v) => (v === null ? "" : String(v))));
  } finally {
    file.close();
  }
}
