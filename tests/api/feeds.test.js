// F2: feeds are declared in files; their tables follow, and `db check` compares.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { ROOT } from "../lib/folder.js";
import { Server } from "../lib/server.js";

const SHIPPED = ["missed_leads", "repeat_customers", "undelivered_all"];
const yaml = (name) => readFileSync(path.join(ROOT, `feeds/${name}.yaml`), "utf8");

describe("F2 GET /api/v1/feeds", () => {
  const app = useApp();

  test("shows the three that ship, with tables, keys and columns, and no log-in", async () => {
    const rows = await app.owner.all("/api/v1/feeds");
    expect(rows.map(({ name }) => name)).toEqual(SHIPPED);
    expect(rows[2]).toMatchObject({
      table: "undelivered_orders",
      keys: ["store_code", "order_id"],
      files: ["undelieverd_order_*.csv"],
      source_kind: "http",
      source_server: "stores",
    });
    expect(rows[2].columns.find(({ name }) => name === "net_amount")).toMatchObject({ type: "decimal" });
    expect(rows[1].columns.map(({ header }) => header)).toEqual(["Store Code", "Mobile No.", "Status"]);
    expect(JSON.stringify(rows)).not.toContain("password");
  });
});

describe("F2 a feed's table", () => {
  let server, folder;
  beforeEach(() => {
    server = new Server();
    folder = path.join(server.folder, "declared");
    mkdirSync(folder);
    server.env.FEEDS_DIR = folder;
    for (const name of SHIPPED) writeFileSync(path.join(folder, `${name}.yaml`), yaml(name));
  });
  afterEach(() => server.remove());
  const change = (name, from, to) =>
    writeFileSync(path.join(folder, `${name}.yaml`), yaml(name).replace(from, to));
  const check = () => server.cli(["db", "check"]);

  test("is made by db upgrade, gets new columns, and stays as migrations go down and up", async () => {
    await server.command("db", "upgrade");
    expect(await check()).toMatchObject({ status: 0 });
    change("missed_leads", "  - {name: store_name}", "  - {name: store_name}\n  - {name: city}");
    expect((await check()).stderr).toMatch(
      /the column city of the table missed_leads is missing; run `entrepot db upgrade`/,
    );
    await server.command("db", "upgrade");
    expect(await check()).toMatchObject({ status: 0 });
    await server.command("db", "downgrade", "0");
    await server.command("db", "upgrade");
    expect(await check()).toMatchObject({ status: 0 });
  });

  test.each([
    ["a type", "type: bool", "type: int", /is_order_placed has the type .* there/],
    ["the key", "keys: [store_code, pickup_no]", "keys: [store_code, mobile_number]", /key there/],
    ["a column that is gone", "  - {name: source}\n", "", /source stands in the table only/],
    ["a table of something else", "table: missed_leads", "table: item", /table item is not as its file says/],
  ])("is refused, by db check and at the start, where the file differs: %s", async (_, from, to, said) => {
    await server.command("db", "upgrade");
    change("missed_leads", from, to);
    for (const command of [
      ["db", "check"],
      ["db", "upgrade"],
    ]) {
      const { status, stderr } = await server.cli(command);
      expect(status).toBe(1);
      expect(stderr).toMatch(said);
    }
    expect((await server.cli(["serve", "--port", "0"])).status).toBe(1);
  });

  test("is refused with file and line where the file is wrong", async () => {
    change("missed_leads", "type: bool", "type: boolean");
    const { status, stderr } = await server.cli(["db", "upgrade"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/missed_leads\.yaml:22: columns\[14\]\.type must be one of: text, int/);
  });
});
