// X9: migrations up, down and up again; what a server does at a database that is not current.
import { readdirSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DATABASE, ROOT, dropFolder, newFolder } from "../lib/folder.js";
import { Server } from "../lib/server.js";

const MIGRATIONS = readdirSync(path.join(ROOT, "migrations"))
  .filter((name) => name.endsWith(".sql"))
  .sort();
let server;
beforeEach(() => (server = new Server()));
afterEach(() => server.remove());

const must = async (...args) => {
  const result = await server.cli(args);
  expect(result, `${args.join(" ")}: ${result.stderr}`).toMatchObject({ status: 0 });
  return result.stdout;
};

const revision = async () => Number(/\d+/.exec(await must("db", "current"))[0]);

describe("X9 entrepot db", () => {
  test("goes up, down step by step, and up again", async () => {
    expect((await server.cli(["db", "check"])).status, "an empty database is not current").not.toBe(0);
    await must("db", "upgrade");
    expect(await revision()).toBe(Number(MIGRATIONS.at(-1).slice(0, 4)));
    await must("db", "upgrade");
    await must("db", "check");
    for (const name of MIGRATIONS.toReversed()) {
      expect(await revision()).toBe(Number(name.slice(0, 4)));
      await must("db", "downgrade");
      expect((await server.cli(["db", "check"])).status).not.toBe(0);
    }
    await must("db", "upgrade");
    await must("db", "check");
    await must("seed");
    await must("ledger", "verify");
  });

  test("goes down to a named revision", async () => {
    await must("db", "upgrade");
    await must("db", "downgrade", "0001");
    expect(await revision()).toBe(1);
    expect((await server.cli(["db", "downgrade", "9999"])).status).not.toBe(0);
    await must("db", "upgrade");
    await must("db", "check");
  });

  test("many upgrades at once are done once", async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => server.cli(["db", "upgrade"])));
    // One process owns a SQLite file: the others may be told so.
    const done = results.filter(({ status }) => status === 0);
    expect(done.length).toBeGreaterThan(DATABASE === "sqlite" ? 0 : 4);
    for (const { status, stderr } of results) if (status !== 0) expect(stderr).toContain("nother process");
    await must("db", "check");
  });

  test("history names every migration", async () => {
    await must("db", "upgrade");
    const history = await must("db", "history");
    for (const name of MIGRATIONS) expect(history).toContain(name.replace(/\.sql$/, "").slice(0, 4));
  });
});

describe("X9 db downgrade beside a running server", () => {
  test("is refused, naming who has the database open, and takes nothing away", async () => {
    await server.start();
    const before = await revision();
    // On another machine, as it were: not through this server's socket.
    const elsewhere = newFolder();
    const away = (...args) =>
      server.cli(["db", "downgrade", ...args], { env: { ENTREPOT_DATA: elsewhere } });
    const { status, stderr } = await away();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^entrepot: [^\n]+\n$/);
    expect(stderr).toContain(DATABASE === "postgres" ? `${server.child.pid}@` : "nother process");
    expect(await revision()).toBe(before);
    if (DATABASE === "postgres") {
      expect(stderr).toContain("--yes");
      expect(await away("--yes")).toMatchObject({ status: 0 });
      await must("db", "upgrade");
    }
    expect(await server.stop()).toEqual({ status: 0, signal: null });
    expect(await away()).toMatchObject({ status: 0 });
    dropFolder(elsewhere);
  });
});

describe("X9 serve", () => {
  test("upgrades an empty database at its start", async () => {
    await server.start();
    expect(await server.stop()).toEqual({ status: 0, signal: null });
    await must("db", "check");
  });

  test("refuses an older schema when told not to migrate, and says what to run", async () => {
    await must("db", "upgrade");
    await must("db", "downgrade");
    const { status, stderr } = await server.cli(["serve", "--port", "0"], {
      env: { MIGRATE_ON_START: "0" },
      within: 15_000,
    });
    expect([1, 2]).toContain(status);
    expect(stderr).toContain("db upgrade");
  });

  test("starts again on what it left, several times", async () => {
    await must("db", "upgrade");
    await must("seed");
    for (let i = 0; i < 3; i++) {
      await server.start();
      expect(await server.stop()).toEqual({ status: 0, signal: null });
    }
    await must("ledger", "verify");
  });
});
