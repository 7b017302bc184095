// The command line: beside a running server and without one, what it prints, how it ends.
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, useApp } from "../lib/app.js";
import { BINARY, DATABASE } from "../lib/folder.js";
import { Server } from "../lib/server.js";
import { shipment } from "../lib/webhook.js";

const app = useApp();
const cli = (...args) => app.server.cli(args);
const oneLine = /^[^\n]*\S[^\n]*\n$/;

// The commands as the binary lists them: name, and the usage that its help begins with.
const help = (...args) => execFileSync(BINARY, [...args, "--help"], { encoding: "utf8", env: {} });
const COMMANDS = help()
  .split("\n")
  .filter((line) => /^ {2}\S/.test(line))
  .map((line) => line.trim().split(/ {2,}/)[0]);
const usageOf = (name) => help(...name.split(" ")).split("\n")[0].slice(`usage: entrepot ${name}`.length);
const usage = Object.fromEntries(COMMANDS.map((name) => [name, usageOf(name)]));
const PINNED = [
  ...["serve", "worker", "db upgrade", "db downgrade", "db current", "db history", "db check"],
  ...["db revision", "seed", "ledger verify", "audit verify", "config", "config check", "config example"],
  ...["user add", "jobs list", "jobs retry", "jobs drop", "jobs pause", "jobs resume", "jobs run", "openapi"],
];
// Those that only show something and need no argument.
const SHOWING = COMMANDS.filter(
  (name) =>
    usage[name].includes("[--json]") &&
    /(list|current|history|check|verify|queues)$/.test(name) &&
    !/^ [A-Z]/.test(usage[name]),
);
const wanting = COMMANDS.filter((name) => /^ [A-Z]/.test(usage[name]));

describe("every command", () => {
  test.each(COMMANDS)("%s --help", async (command) => {
    const { status, stdout, stderr } = await cli(...command.split(" "), "--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(`entrepot ${command}`);
    expect(stdout.trim().split("\n").length, "says what it does").toBeGreaterThan(2);
  });

  test.each(COMMANDS)("an option that %s does not have ends with 2", async (command) => {
    const { status, stdout, stderr } = await cli(...command.split(" "), "--no-such-option");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain("--help");
  });

  test.each(wanting)("%s without what it needs ends with 2", async (command) => {
    const { status, stdout, stderr } = await cli(...command.split(" "));
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
  });

  test("entrepot --help lists them all", async () => {
    const { status, stdout } = await cli("--help");
    expect(status).toBe(0);
    for (const command of PINNED) expect(stdout).toContain(`  ${command} `);
  });

  test.each(
    [
      ["nothing"],
      ["db"],
      ["db", "sideways"],
      ["user"],
      ["user", "add"],
      ["user", "add", "a@example.com"],
      ["seed", "--nonsense"],
      ["seed", "--org"],
      ["seed", "too", "much"],
      ["ledger", "verify", "--org"],
      ["jobs", "retry"],
      ["jobs", "run"],
      ["serve", "--port", "99999"],
      ["serve", "--port", "x"],
      ["serve", "--workers", "-1"],
      ["user", "add", "a@example.com", "--org", "default", "--role", "boss", "--password-stdin"],
      ["jobs", "list", "--state", "nope"],
      ["jobs", "run", "no.such.job"],
      ["jobs", "run", "wait"],
      ["jobs", "run", "wait", "--args", '{"seconds": "many"}'],
      ["jobs", "run", "wait", "--args", "seven"],
      ["jobs", "run", "shipstation_sync", "--args", '{"since": "x"}'],
      ["deliveries", "list", "--state", "nope"],
      ["deliveries", "replay", "--from", "x"],
      ["schedule", "next"],
      ["schedule", "next", "whenever"],
      ["schedule", "next", "* * * * *", "--zone", "Nowhere/Here"],
    ].map((args) => [args.join(" "), args]),
  )("wrong usage ends with 2 and one line: %s", async (_, args) => {
    const { status, stdout, stderr } = await app.server.cli(args, { input: `${PASSWORD}\n` });
    expect(stdout).toBe("");
    expect(stderr).toMatch(oneLine);
    expect(status).toBe(2);
  });

  test("what is wrong is told as a sentence with the field, not as JSON", async () => {
    const { stderr } = await cli("jobs", "run", "wait", "--args", '{"seconds": "many"}');
    expect(stderr).toContain("args.seconds must be");
    expect(stderr).not.toMatch(/[[{]/);
  });

  test.each([["--json"], []])("output that cannot be written is told: jobs list %s", async (...json) => {
    const full = openSync("/dev/full", "w");
    const options = { env: app.server.env, cwd: app.server.folder, stdio: ["ignore", full, "pipe"] };
    const { status, stderr } = spawnSync(BINARY, ["jobs", "list", ...json], options);
    closeSync(full);
    expect({ status, stderr: String(stderr) }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^entrepot: The output could not be written[^\n]*\n$/),
    });
  });

  test("without arguments it says how it is used, with 2", async () => {
    const { status, stdout, stderr } = await cli();
    expect(status).toBe(2);
    expect(stdout + stderr).toContain("usage");
  });

  test("what failed ends with 1 and one line", async () => {
    const user = [
      "user",
      "add",
      "owner@default.example",
      "--org",
      "Default",
      "--role",
      "clerk",
      "--password-stdin",
    ];
    for (const [args, what] of [
      [user, /owner@default\.example/],
      [
        ["user", "add", "new@example.com", "--org", "Nobody's", "--role", "clerk", "--password-stdin"],
        /Nobody's/,
      ],
      [["ledger", "verify", "--org", "nobody"], /nobody/],
      [["jobs", "retry", "00000000-0000-7000-8000-000000000000"], /\S/],
      [["jobs", "drop", "00000000-0000-7000-8000-000000000000"], /\S/],
    ]) {
      const { status, stderr } = await app.server.cli(args, { input: `${PASSWORD}\n` });
      expect(stderr, args.join(" ")).toMatch(oneLine);
      expect(stderr).toMatch(what);
      expect(status, args.join(" ")).toBe(1);
    }
  });
});

describe("beside a running server", () => {
  test("seed is idempotent, and makes an organisation of its own with --org", async () => {
    expect((await cli("seed")).status).toBe(0);
    expect((await app.owner.all("/api/v1/catalog")).map((row) => row.sku)).toEqual(["TEST-SKU-001"]);
    for (let i = 0; i < 2; i++)
      expect(await cli("seed", "--org", "Second Company")).toMatchObject({ status: 0, stderr: "" });
    await app.addOwner("owner@second.example", "Second Company");
    const owner = await app.login("owner@second.example");
    expect(owner.user.organisation.slug).toBe("second-company");
    expect((await owner.all("/api/v1/catalog")).map((row) => row.sku)).toEqual(["TEST-SKU-001"]);
  });

  test("user add takes the password from standard input, or makes one and prints it", async () => {
    const args = ["user", "add", "made@default.example", "--org", "default", "--role", "viewer"];
    const { status, stdout } = await cli(...args);
    expect(status).toBe(0);
    const words = stdout.split(/\s+/).filter((word) => word.length >= 12 && !word.includes("@"));
    const tries = await Promise.all(
      words.map((password) =>
        app.anonymous.post("/api/v1/auth/login", {
          email: "made@default.example",
          password: password.replace(/[.,]$/, ""),
        }),
      ),
    );
    expect(
      tries.some((answer) => answer.status === 200),
      stdout,
    ).toBe(true);
    const short = await app.server.cli(
      ["user", "add", "short@default.example", "--org", "default", "--role", "viewer", "--password-stdin"],
      { input: "short\n" },
    );
    expect([1, 2]).toContain(short.status);
  });

  test("ledger verify is clean, for all and for one", async () => {
    (await app.hook(shipment())).expect(200);
    await app.settled();
    for (const args of [[], ["--org", "Default"], ["--org", "default"], ["--json"]])
      expect(await cli("ledger", "verify", ...args)).toMatchObject({ status: 0, stderr: "" });
    JSON.parse((await cli("ledger", "verify", "--json")).stdout);
  });

  test("jobs list, and jobs run in the foreground", async () => {
    expect((await cli("jobs", "list")).status).toBe(0);
    JSON.parse((await cli("jobs", "list", "--json")).stdout);
    const event = shipment();
    (await app.hook(event)).expect(200);
    const { id } = await app.delivery(`${event.shipmentId}:shipped`);
    const before = await app.onHand("TEST-SKU-001");
    expect(await cli("jobs", "run", "inbox.apply", "--args", JSON.stringify({ id }))).toMatchObject({
      status: 0,
    });
    expect(await app.onHand("TEST-SKU-001"), "J1 a job that runs twice counts once").toBe(before);
  });

  test("db current, history and check", async () => {
    const { stdout: history, status } = await cli("db", "history");
    expect(status).toBe(0);
    expect(history.trim().split("\n").length).toBeGreaterThanOrEqual(4);
    expect(await cli("db", "check")).toMatchObject({ status: 0 });
    expect((await cli("db", "current")).stdout).toMatch(/\d/);
  });

  test("an environment that does not fit does not matter: the server answers", async () => {
    const { status } = await app.server.cli(["ledger", "verify"], { env: { RATE_LIMIT: "7/min" } });
    expect(status).toBe(0);
  });
});

describe("with a server and without one", () => {
  const alone = new Server();
  const both = {};

  // What each says with the server, then without; times of the moment and ids of the process are taken out.
  const steady = (text) =>
    text
      .replace(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/g, "TIME")
      .replace(/"(?:lag|age)[a-z_]*":[0-9]+/g, '"AGE":0');
  const ask = async () => {
    const said = {};
    for (const name of SHOWING)
      for (const json of [[], ["--json"]]) {
        const { status, stdout, stderr } = await alone.cli([...name.split(" "), ...json]);
        said[[name, ...json].join(" ")] = { status, stdout: steady(stdout), stderr };
      }
    return said;
  };

  beforeAll(async () => {
    await alone.command("db", "upgrade");
    await alone.command("seed");
    await alone.command("audit", "seal");
    await alone.start(["--workers", "0"]);
    both.beside = await ask();
    await alone.stop();
    both.without = await ask();
  }, 60_000);
  afterAll(() => alone.remove());

  test("lists come whole, or page by page with a cursor", async () => {
    const events = Array.from({ length: 7 }, () => shipment());
    for (const event of events) (await app.hook(event)).expect(200);
    await app.settled();
    const list = async (...args) => {
      const { status, stdout, stderr } = await cli("deliveries", "list", "--json", ...args);
      expect(status, stderr).toBe(0);
      return { rows: JSON.parse(stdout).map((row) => row.id), cursor: /--cursor (\S+)/.exec(stderr)?.[1] };
    };
    const all = await list();
    expect(all.rows.length).toBeGreaterThanOrEqual(7);
    expect(all.cursor).toBeUndefined();
    const paged = [];
    for (let cursor = []; cursor; ) {
      const page = await list("--page-size", "3", ...cursor);
      expect(page.rows.length).toBeLessThanOrEqual(3);
      paged.push(...page.rows);
      cursor = page.cursor && ["--cursor", page.cursor];
    }
    expect(paged).toEqual(all.rows);
    for (const [args, ends] of [
      [["--page-size", "0"], 2],
      [["--page-size", "many"], 2],
      [["--page-size", "501"], 2],
      [["--cursor"], 2],
      [["--cursor", "made-up"], 2],
    ]) {
      const { status, stderr } = await cli("deliveries", "list", ...args);
      expect({ args, status }).toEqual({ args, status: ends });
      expect(stderr).toMatch(oneLine);
    }
  });

  test.each(SHOWING)("%s says the same, for people and as JSON", (name) => {
    for (const words of [name, `${name} --json`]) {
      expect(both.beside[words], words).toMatchObject({ status: 0, stderr: "" });
      expect(both.without[words]).toEqual(both.beside[words]);
    }
    JSON.parse(both.beside[`${name} --json`].stdout);
    expect(both.beside[name].stdout, "people are told something").toMatch(/\S/);
  });
});

describe.runIf(DATABASE === "sqlite")("one process owns a SQLite file", () => {
  const attempts = [
    ["serve", "the same file and folder", {}],
    ["worker", "the same file and folder", {}],
    ["serve", "the same file from another folder", { elsewhere: true }],
  ];

  test.each(attempts)("a second %s on %s is refused", async (command, _, { elsewhere }) => {
    const second = new Server();
    try {
      const env = {
        DATABASE_URL: app.server.env.DATABASE_URL,
        ENTREPOT_DATA: elsewhere ? second.folder : app.server.folder,
      };
      const args = command === "serve" ? ["serve", "--port", "0"] : [command];
      const { status, stderr } = await app.server.cli(args, { env, within: 15_000 });
      expect([1, 2]).toContain(status);
      expect(stderr).toMatch(/\S/);
      (await app.owner.post("/api/v1/catalog", { sku: `STILL-${command}-${Boolean(elsewhere)}` })).expect(
        201,
      );
    } finally {
      await second.remove();
    }
  });
});
