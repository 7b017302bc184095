// X2: where settings come from, and that all that is wrong with them is told at once.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DATABASE } from "../lib/folder.js";
import { SETTINGS, Server } from "../lib/server.js";

const server = new Server();
afterAll(() => server.remove());

// config check with these settings; null takes one away.
function check(env) {
  const all = Object.entries({ ...server.env, ...env }).filter(([, value]) => value !== null);
  server.env = Object.fromEntries(all);
  return server.cli(["config", "check"]);
}
const good = { ...server.env };
const fresh = (env) => {
  server.env = { ...good };
  return check(env);
};

describe("X2 config check", () => {
  test("is content with good settings", async () => {
    expect(await fresh({})).toMatchObject({ status: 0, stderr: "" });
  });

  test("tells everything that is wrong, at once", async () => {
    const wrong = {
      PORT: "http",
      WEBHOOK_RATE: "fast",
      APP_MAX_PAYLOAD: "-1",
      LOG_LEVEL: "loud",
      MIGRATE_ON_START: "perhaps",
    };
    const { status, stdout, stderr } = await fresh(wrong);
    expect(status).toBe(2);
    for (const name of Object.keys(wrong)) expect(stdout + stderr).toContain(name);
  });

  test.each([
    ["PORT", "70000"],
    ["PORT", "80x"],
    ["PORT", ""],
    ["RATE_LIMIT", "10/fortnight"],
    ["RATE_LIMIT", "-5"],
    ["ENVIRONMENT", "test"],
    ["APP_MAX_PAYLOAD", "1e3"],
    ["DATABASE_URL", "mysql://localhost/x"],
    ["DATABASE_URL", "nonsense"],
    ["TRUSTED_PROXIES", "not-an-address"],
    ["SMARTSHEET_BASE_URL", "http://smartsheet.example/2.0"],
    ["SMARTSHEET_BASE_URL", "http://localhost.example/2.0"],
    ["SMARTSHEET_BASE_URL", "http://127.0.0.1:1@smartsheet.example/2.0"],
    ["SMARTSHEET_BASE_URL", "http://localhost:x@smartsheet.example/2.0"],
    ["SMARTSHEET_BASE_URL", "https://user@smartsheet.example/2.0"],
    ["SMARTSHEET_BASE_URL", "https://"],
    ["SHIPSTATION_BASE_URL", "http://127.0.0.1:1@shipstation.example"],
    ["SHIPSTATION_BASE_URL", "ftp://shipstation.example"],
    ["SHIPSTATION_BASE_URL", "shipstation.example"],
  ])("%s=%s", async (name, value) => {
    const { status, stdout, stderr } = await fresh({ [name]: value });
    // An empty text counts as not set.
    expect(status).toBe(value === "" ? 0 : 2);
    if (value !== "") expect(stdout + stderr).toContain(name);
  });

  test.each(["WEBHOOK_SECRETS", "SHIPSTATION_WEBHOOK_TOKENS", "SMARTSHEET_WEBHOOK_SECRET"])(
    "C3 one secret for two organisations in %s is refused, and not printed",
    async (name) => {
      const secret = "the-one-secret-that-two-are-to-share";
      for (const value of [`a:${secret},b:${secret}`, `${secret},one,b:${secret}`]) {
        const { status, stdout, stderr } = await fresh({ [name]: value });
        expect(status).toBe(2);
        expect(stderr).toContain(`${name} gives the same secret to two organisations`);
        expect(stdout + stderr).not.toContain(secret);
      }
      const file = path.join(server.folder, "shared-secrets");
      writeFileSync(file, `b:${secret}\n`);
      expect((await fresh({ [name]: `a:${secret}`, [`${name}_FILE`]: file })).status).toBe(2);
      const good = [`a:${secret},b:${secret}x`, `a:${secret},a:${secret}`, `A b:${secret},c:${secret}`];
      for (const value of good)
        expect((await fresh({ [name]: value })).status).toBe(0);
    },
  );

  test("the server does not start with them either", async () => {
    const { status, stderr } = await server.cli(["serve", "--port", "0"], {
      env: { WEBHOOK_RATE: "fast", LOG_LEVEL: "loud" },
      within: 15_000,
    });
    expect(status).toBe(2);
    expect(stderr).toContain("WEBHOOK_RATE");
    expect(stderr).toContain("LOG_LEVEL");
  });

  test.each([[null], ["short"], ["changeme"], ["x".repeat(31)]])(
    "SECRET_KEY=%s is refused in production",
    async (value) => {
      const { status, stdout, stderr } = await fresh({ SECRET_KEY: value });
      expect(status).toBe(2);
      expect(stdout + stderr).toContain("SECRET_KEY");
    },
  );

  test.each(["production", "prod"])("ENVIRONMENT=%s is production", async (value) => {
    expect((await fresh({ ENVIRONMENT: value })).status).toBe(0);
    expect((await fresh({ ENVIRONMENT: value, SECRET_KEY: null })).status).toBe(2);
  });

  test("local needs no secret", async () => {
    expect(
      (await fresh({ ENVIRONMENT: "local", SECRET_KEY: null, JWT_SECRET: null, WEBHOOK_SECRETS: null }))
        .status,
    ).toBe(0);
  });

  test("ENTREPOT_CLOCK is refused in production", async () => {
    const file = path.join(server.folder, "clock");
    writeFileSync(file, "0\n");
    expect((await fresh({ ENTREPOT_CLOCK: file })).status).toBe(2);
    expect((await fresh({ ENTREPOT_CLOCK: file, ENVIRONMENT: "stage" })).status).toBe(0);
  });
});

describe("X2 sources", () => {
  const write = (name, text) => {
    const file = path.join(server.folder, name);
    writeFileSync(file, text);
    return file;
  };

  test("a name and its alias that differ are an error, the same are not", async () => {
    const both = (alias) => fresh({ APP_DATABASE_URL: alias });
    expect((await both(good.DATABASE_URL)).status).toBe(0);
    const { status, stdout, stderr } = await both("sqlite:////tmp/another.db");
    expect(status).toBe(2);
    expect(stdout + stderr).toContain("DATABASE_URL");
  });

  test("a secret from its _FILE", async () => {
    const file = write("secret", `${SETTINGS.SECRET_KEY}\n`);
    expect((await fresh({ SECRET_KEY: null, SECRET_KEY_FILE: file })).status).toBe(0);
    expect((await fresh({ SECRET_KEY: null, SECRET_KEY_FILE: write("weak", "short\n") })).status).toBe(2);
    expect(
      (await fresh({ SECRET_KEY: null, SECRET_KEY_FILE: path.join(server.folder, "absent") })).status,
    ).toBe(2);
  });

  test(".env.production before .env, the environment before both", async () => {
    write(".env", "LOG_LEVEL=loud\nPORT=8123\n");
    expect((await fresh({})).status).toBe(2);
    write(".env.production", "# a note\nLOG_LEVEL=info\n");
    expect((await fresh({})).status).toBe(0);
    write(".env.production", "");
    expect((await fresh({ LOG_LEVEL: "info" })).status).toBe(0);
    write(".env", "");
  });

  test("a driver in the scheme is dropped", async () => {
    const scheme = DATABASE === "sqlite" ? "sqlite+aiosqlite:" : "postgresql+asyncpg:";
    expect((await fresh({ DATABASE_URL: good.DATABASE_URL.replace(/^\w+:/, scheme) })).status).toBe(0);
  });
});

describe("X2 config", () => {
  test("prints no secret", async () => {
    server.env = { ...good };
    const { status, stdout } = await server.cli(["config"]);
    expect(status).toBe(0);
    expect(stdout).toContain("WEBHOOK_RATE");
    for (const name of ["SECRET_KEY", "JWT_SECRET"]) expect(stdout).not.toContain(SETTINGS[name]);
    expect(stdout).not.toContain("first-secret");
  });

  test("is JSON with --json, without secrets", async () => {
    server.env = { ...good };
    const { status, stdout } = await server.cli(["config", "--json"]);
    expect(status).toBe(0);
    const printed = JSON.parse(stdout);
    expect(printed).toMatchObject({ RATE_LIMIT: "0", SECRET_KEY: "(set)", WEBHOOK_SECRETS: "(set)" });
    expect(stdout).not.toContain("first-secret");
  });

  test("example is an .env that is good as it stands", async () => {
    const { status, stdout } = await server.cli(["config", "example"]);
    expect(status).toBe(0);
    for (const name of [
      "DATABASE_URL",
      "SECRET_KEY",
      "WEBHOOK_SECRETS",
      "APP_MAX_PAYLOAD",
      "RATE_LIMIT",
      "PORT",
    ])
      expect(stdout).toMatch(new RegExp(`^#? ?${name}=`, "m"));
    writeFileSync(path.join(server.folder, ".env"), stdout);
    expect((await fresh({})).status).toBe(0);
    writeFileSync(path.join(server.folder, ".env"), "");
  });
});
