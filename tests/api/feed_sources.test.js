// F3: files by store over HTTP with a log-in, from a server that misbehaves, and from folders.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Server } from "../lib/server.js";
import { PASSWORD, Stores, USER } from "../lib/stores.js";

const DAY = "2026-11-20";
const HEAD = `files: ["NAME_*.csv"]
keys: [store_code, no]
columns: [{name: store_code}, {name: no}]
`;
const declared = (name, source) => `name: ${name}\ntable: ${name}\n${HEAD.replace("NAME", name)}${source}`;
const HTTP = (name, more = "") => `source:
  kind: http
  server: main
  path: /x/{store_code}/${name}_{yyyymmdd}.csv
  attempts: 4
  timeout_seconds: 20
  max_megabytes: 1
${more}  login: {path: /login, form: {username: "{user}", password: "{password}", store: "{store_code}"}}
`;

let server, stores, feeds;
beforeEach(async () => {
  stores = await new Stores().start();
  server = new Server({ FEEDS_BACKOFF_MS: "5" });
  feeds = path.join(server.folder, "declared");
  mkdirSync(feeds);
  const secrets = path.join(server.folder, "logins");
  writeFileSync(secrets, `main=${USER}:${PASSWORD}\n`);
  Object.assign(server.env, {
    FEEDS_DIR: feeds,
    FEEDS_SOURCES: `main=${stores.url}/`,
    FEEDS_LOGINS_FILE: secrets,
  });
  declare("leads", HTTP("leads"));
  await server.command("db", "upgrade");
  await server.command("seed");
});
afterEach(async () => {
  await server.remove();
  await stores.stop();
});

const declare = (name, source) => writeFileSync(path.join(feeds, `${name}.yaml`), declared(name, source));
async function flag(...codes) {
  const file = path.join(server.folder, "stores.csv");
  const rows = codes.map((code) => `${code},${code},1,0\n`).join("");
  writeFileSync(file, `store_code,store_name,etl_flag,report_flag\n${rows}OFF,off,0,0\n`);
  await server.command("stores", "import", file);
}
async function download(...more) {
  const out = await server.cli(["feeds", "download", "--date", DAY, "--json", ...more]);
  expect(out.stderr + out.stdout).not.toContain(PASSWORD);
  return { ...out, rows: out.stdout ? JSON.parse(out.stdout) : null };
}
const folder = (bucket = "leads") => path.join(server.folder, "feeds", "20261120", bucket);
const read = (store, bucket = "leads") =>
  readFileSync(path.join(folder(bucket), `${bucket}_${store}.csv`), "utf8");
const asked = (store) => stores.requests.filter((r) => r.path.startsWith(`/x/${store}/`));

async function one(...plan) {
  await flag("S1");
  stores.plan.set("S1", plan);
  const { rows, status } = await download();
  expect(rows).toHaveLength(1);
  expect(status).toBe(rows[0].status === "ok" ? 0 : 1);
  if (rows[0].status === "ok") {
    expect(read("S1")).toBe(stores.file("S1"));
    expect(readdirSync(folder())).toEqual(["leads_S1.csv"]);
  } else expect(existsSync(path.join(folder(), "leads_S1.csv"))).toBe(false);
  return rows[0];
}

describe("F3 download", () => {
  test("every flagged store's file, each with its own session, which the next feed uses again", async () => {
    const codes = Array.from({ length: 12 }, (_, i) => `S${i + 10}`);
    declare("more", HTTP("more", "  parallel: 3\n"));
    await server.command("db", "upgrade");
    await flag(...codes);
    const { rows, status } = await download();
    expect(status).toBe(0);
    expect(rows.map((r) => `${r.bucket} ${r.store_code}`)).toEqual(
      ["leads", "more"].flatMap((bucket) => codes.map((code) => `${bucket} ${code}`)),
    );
    for (const code of codes) {
      expect(read(code)).toBe(stores.file(code));
      expect(read(code, "more")).toBe(stores.file(code));
    }
    expect(stores.logins.map((form) => form.get("store")).toSorted()).toEqual(codes);
    expect(stores.most).toBeLessThanOrEqual(4);
    expect(stores.requests.some((r) => r.path.includes("OFF"))).toBe(false);
  });

  test("what is there already is kept, not fetched", async () => {
    await one();
    const { rows } = await download();
    expect(rows[0]).toMatchObject({ status: "ok", kept: true, attempts: 0 });
    expect(asked("S1")).toHaveLength(1);
  });

  test("tried again after 500, 503 and 408, with attempts counted", async () => {
    const row = await one(Stores.status(500), Stores.status(503), Stores.status(408));
    expect(row).toMatchObject({ status: "ok", attempts: 4, logins: 1 });
  });

  test("given up after as many attempts as the feed says", async () => {
    const row = await one(...Array.from({ length: 9 }, () => Stores.status(500)));
    expect(row).toMatchObject({ status: "failed", attempts: 4 });
    expect(row.problem).toContain("500");
    expect(asked("S1")).toHaveLength(4);
  });

  test("429 waits for as long as Retry-After says", async () => {
    let at;
    const limit = (request, response) => {
      at = Date.now();
      Stores.status(429, { "retry-after": "1" })(request, response);
    };
    const again = (request, response, text, it) => {
      at = Date.now() - at;
      it.send(request, response, text);
    };
    expect(await one(limit, again)).toMatchObject({ status: "ok", attempts: 2 });
    expect(at).toBeGreaterThanOrEqual(990);
  });

  test("a Retry-After of hours is not waited for", async () => {
    expect(await one(Stores.status(429, { "retry-after": "7200" }))).toMatchObject({ attempts: 1 });
  });

  test("a cut connection is gone on with by Range and If-Range", async () => {
    expect(await one(Stores.cut())).toMatchObject({ status: "ok", resumed: true, attempts: 2 });
    const second = asked("S1")[1].headers;
    expect(second["if-range"]).toBe('"v1"');
    expect(second.range).toBe(`bytes=${Math.floor(stores.file("S1").length / 2)}-`);
  });

  test("begun again when the file changed meanwhile, and when the server gives no strong ETag", async () => {
    expect(await one(Stores.cut('"v0"'))).toMatchObject({ status: "ok", resumed: false, attempts: 2 });
    await flag("S2");
    stores.plan.set("S2", [Stores.cut('W/"v1"')]);
    await download("--store", "S2");
    expect(asked("S2")[1].headers.range).toBeUndefined();
    expect(read("S2")).toBe(stores.file("S2"));
  });

  test("what another process left is gone on with", async () => {
    const text = stores.file("S1");
    mkdirSync(folder(), { recursive: true });
    writeFileSync(path.join(folder(), "leads_S1.csv.part"), text.slice(0, 100));
    writeFileSync(path.join(folder(), "leads_S1.csv.tag"), '"v1"');
    expect(await one()).toMatchObject({ status: "ok", resumed: true, attempts: 1 });
    expect(asked("S1").at(-1).headers.range).toBe("bytes=100-");
  });

  test.each([
    ["a session that ended: a log-in page", Stores.page()],
    ["a log-in page that calls itself CSV", Stores.page("text/csv")],
    ["401", Stores.status(401)],
    ["a redirect to the log-in", Stores.status(302, { location: "/login?next=1" })],
  ])("%s leads to a new log-in", async (_, answer) => {
    expect(await one(answer)).toMatchObject({ status: "ok", logins: 2 });
  });

  test("log-in pages without end are given up", async () => {
    const row = await one(...Array.from({ length: 9 }, () => Stores.page()));
    expect(row).toMatchObject({ status: "failed", logins: 3 });
    expect(row.problem).toContain("log-in page");
  });

  test("a log-in that is refused is not tried again", async () => {
    writeFileSync(server.env.FEEDS_LOGINS_FILE, `main=${USER}:wrong\n`);
    const row = await one();
    expect(row.problem).toContain("The log-in was refused (401)");
    expect(stores.logins).toHaveLength(1);
  });

  test.each([
    ["another type", Stores.body("application/pdf", "%PDF-1.4"), "application/pdf in place of CSV"],
    ["a long page of JSON", Stores.body("application/json", "x".repeat(200_000)), "no CSV"],
    ["no such file", Stores.status(404), "no such file (404)"],
    ["too large", Stores.body("text/csv", "x".repeat(1_000_001)), "larger than the 1 MB"],
    ["a redirect to plain http", Stores.status(302, { location: "http://127.0.0.1:9/x" }), "https://"],
    ["a redirect to a private address", Stores.status(302, { location: "https://10.0.0.1/" }), "public"],
    ["a redirect in a circle", null, "circle"],
  ])("%s is refused at once", async (_, answer, said) => {
    const circle = Array.from({ length: 9 }, () => (request, response) =>
      Stores.status(302, { location: request.url })(request, response),
    );
    const row = await one(...(answer ? [answer] : circle));
    expect(row).toMatchObject({ status: "failed", attempts: 1 });
    expect(row.problem).toContain(said);
  });

  test("a redirect on the same server is followed", async () => {
    const there = (request, response) =>
      Stores.status(307, { location: `${request.url}?again=1` })(request, response);
    expect(await one(there)).toMatchObject({ status: "ok", attempts: 1 });
  });

  test("bytes that come too slowly end with the time limit", async () => {
    declare("leads", HTTP("leads").replace("timeout_seconds: 20", "timeout_seconds: 1"));
    const drip = (request, response) => {
      response.writeHead(200, { "content-type": "text/csv", etag: '"v1"', "content-length": "100000" });
      const timer = setInterval(() => response.write("x"), 50);
      response.once("close", () => clearInterval(timer));
    };
    const row = await one(...Array.from({ length: 4 }, () => drip));
    expect(row).toMatchObject({ status: "failed", attempts: 4 });
    expect(row.problem).toContain("did not answer");
  });

  test("an empty file is a file", async () => {
    await flag("S1");
    stores.plan.set("S1", [Stores.body("text/csv", "")]);
    expect((await download()).rows[0]).toMatchObject({ status: "ok", bytes: 0 });
    expect(read("S1")).toBe("");
  });

  test("a store and a feed that fail stop no other", async () => {
    declare("astray", HTTP("astray").replace("server: main", "server: nowhere"));
    await server.command("db", "upgrade");
    await flag("S1", "S2", "S3");
    stores.plan.set("S2", [Stores.status(404)]);
    const { rows, status } = await download();
    expect(status).toBe(1);
    expect(rows.map((r) => r.status)).toEqual(["failed", "ok", "failed", "ok"]);
    expect(rows[0]).toMatchObject({ bucket: "astray" });
    expect(rows[0].problem).toContain("FEEDS_SOURCES does not have");
  });

  test("nothing flagged is said, and so are a store and a feed that are not there", async () => {
    const none = await download();
    expect(none.status).toBe(1);
    expect(none.stderr).toContain("No store has etl_flag");
    await flag("S1");
    expect((await download("--store", "S9")).stderr).toContain("S9 is no store with etl_flag");
    expect((await download("--bucket", "nix")).stderr).toContain("There is no feed nix");
    expect((await download("--date", "2026-02-30")).status).toBe(2);
  });

  test("another organisation has neither the server nor the log-in", async () => {
    await server.command("seed", "--org", "Other Company");
    const file = path.join(server.folder, "other.csv");
    writeFileSync(file, "store_code,etl_flag,report_flag\nS1,1,0\n");
    await server.command("stores", "import", file, "--org", "other-company");
    const { rows } = await download("--org", "other-company");
    expect(rows[0].problem).toContain("FEEDS_SOURCES does not have");
    expect(stores.requests).toHaveLength(0);
  });

  test("from a folder: files by the feed's names at any depth stay where they are", async () => {
    const from = path.join(server.folder, "from");
    mkdirSync(path.join(from, "a/b"), { recursive: true });
    for (const name of ["a/leads_1.csv", "a/b/leads_2.csv", "other.csv"])
      writeFileSync(path.join(from, name), "x");
    declare("leads", `source: {kind: folder, path: ${from}}\n`);
    await flag("S1", "S2");
    const { rows } = await download();
    expect(rows).toMatchObject([{ status: "ok", files: 2, store_code: "" }]);
    expect(readdirSync(path.join(from, "a"))).toEqual(["b", "leads_1.csv"]);
    declare("leads", `source: {kind: folder, path: "${from}/{store_code}"}\n`);
    expect((await download()).rows.map((r) => r.status)).toEqual(["failed", "failed"]);
  });
});
