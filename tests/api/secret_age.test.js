// C3: how old the webhook secrets are and when they were last used; and that none of them is ever shown.
import { readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { eventually, sleep } from "../lib/eventually.js";
import { DATABASE } from "../lib/folder.js";
import { refused } from "../lib/refused.js";
import { SECRETS, Server } from "../lib/server.js";
import { shipment, sign } from "../lib/webhook.js";

const PATH = "/api/v1/webhooks/secrets";
const DAY = 24 * 3600;
const HOUR = 3_600_000; // ms; a test that takes longer than this does not end
const TOKEN = "a-token-that-nobody-may-ever-read-7f3a";
const SHEET_SECRET = "the-secret-of-a-sheet-that-stays-secret";
const clock = new Clock();
const begun = clock.now();
const SETTINGS = {
  ...clock.settings,
  LOG_LEVEL: "DEBUG",
  SHIPSTATION_WEBHOOK_TOKENS: TOKEN,
  SMARTSHEET_WEBHOOK_SECRET: SHEET_SECRET,
};
const app = new App();

async function advance(days) {
  await clock.show(app, new Date(begun + days * DAY * 1000 + HOUR).toISOString());
  const [row] = (await app.owner.get(PATH)).expect(200).data;
  expect(row.age_days).toBe(Math.floor(days));
}
const rows = async (client = app.owner) => (await client.get(PATH)).expect(200).data;
const of = async (setting, index, client = app.owner) =>
  (await rows(client)).find((row) => row.setting === setting && row.index === index);
const health = async () => (await app.anonymous.get("/status/health")).expect(200).json;
const notice = (token, query = `?token=${token}`) =>
  app.anonymous.post(`/webhooks/shipstation${query}`, '{"resource_url":"x","resource_type":"SHIP_NOTIFY"}');
const scan = (secret) => {
  const body = JSON.stringify({ sku: "AGED", quantity: 1 });
  return app.anonymous.post("/webhooks/smartsheet/scan", body, {
    headers: { "X-Smartsheet-Signature": sign(body, secret) },
  });
};
const logged = () =>
  app.server
    .log()
    .split("\n")
    .filter((line) => line.includes("a webhook secret is old"))
    .map((line) => JSON.parse(line));

beforeAll(() => app.launch(SETTINGS), 60_000);
afterAll(() => app.finish(), 60_000);

describe("C3 age and last use of each webhook secret", () => {
  test("each is known from the start, by its place in the settings", async () => {
    await eventually(async () => {
      const all = await rows();
      expect(all.map(({ setting, index }) => `${setting} ${index}`).sort()).toEqual([
        "SHIPSTATION_WEBHOOK_TOKENS 1",
        "SMARTSHEET_WEBHOOK_SECRET 1",
        ...[1, 2, 3, 4].map((n) => `WEBHOOK_SECRETS ${n}`),
      ]);
      for (const row of all)
        expect(row).toMatchObject({
          service: row.setting.startsWith("SMART") ? "smartsheet" : "shipstation",
          organisation: "default",
          active: true,
          first_seen_at: expect.any(String),
          last_used_at: null,
          age_days: 0,
          old: false,
        });
    });
    expect(await health()).toMatchObject({ status: "ok", warnings: [] });
  });

  test("a use is noted for the one secret that proved it, a wrong one for none", async () => {
    (await app.hook(shipment(), { secret: SECRETS.second })).expect(200);
    refused(await app.hook(shipment(), { secret: "wrong" }), 403);
    refused(await notice(TOKEN), 422);
    (await scan(SHEET_SECRET)).expect(200);
    const used = expect.any(String);
    await eventually(async () => {
      expect(await of("WEBHOOK_SECRETS", 2)).toMatchObject({ last_used_at: used });
      expect(await of("SHIPSTATION_WEBHOOK_TOKENS", 1)).toMatchObject({ last_used_at: used });
      expect(await of("SMARTSHEET_WEBHOOK_SECRET", 1)).toMatchObject({ last_used_at: used });
    });
    expect(await of("WEBHOOK_SECRETS", 1)).toMatchObject({ last_used_at: null });
  });

  test("uses are written down once a minute, not each by itself", async () => {
    const { last_used_at: before } = await of("WEBHOOK_SECRETS", 2);
    for (let i = 0; i < 20; i++) (await app.hook(shipment(), { secret: SECRETS.second })).expect(200);
    await sleep(1_000);
    expect((await of("WEBHOOK_SECRETS", 2)).last_used_at).toBe(before);
    clock.set(clock.in(61));
    await eventually(async () =>
      expect(Date.parse((await of("WEBHOOK_SECRETS", 2)).last_used_at)).toBeGreaterThan(Date.parse(before)),
    );
  });

  test("another organisation sees its own only, and one taken by it is no longer the oldest's", async () => {
    const other = await app.other();
    await eventually(async () => {
      expect(await rows(other)).toMatchObject([{ index: 4, organisation: "other-company", active: true }]);
      expect((await rows(other))[0].first_seen_at).not.toBeNull();
      expect((await rows()).filter(({ active }) => !active)).toMatchObject([
        { setting: "WEBHOOK_SECRETS", index: null, old: false },
      ]);
    });
  });

  test("owners and managers see them, others do not", async () => {
    (await (await app.as("manager")).get(PATH)).expect(200);
    refused(await (await app.as("clerk")).get(PATH), 403);
    refused(await (await app.as("viewer")).get(PATH), 403);
    refused(await app.anonymous.get(PATH), 401);
    refused(await app.owner.get(`${PATH}?organisation=other-company`), 422, "organisation");
  });

  test("entrepot secrets list shows all organisations' secrets", async () => {
    const told = await app.server.command("secrets", "list");
    expect(told).toMatch(/^WEBHOOK_SECRETS +2 +default .*last used 20/m);
    expect(told).toMatch(/^WEBHOOK_SECRETS +4 +other-company /m);
    expect(told).toContain("not set any more");
  });

  test("after 90 days health and log warn, once a day, and all goes on", async () => {
    await advance(89);
    expect((await health()).warnings).toEqual([]);
    expect(logged()).toEqual([]);
    await advance(91);
    await eventually(async () => expect((await health()).warnings).toHaveLength(6));
    const { status, warnings } = await health();
    expect(status).toBe("ok");
    expect(warnings).toContainEqual({
      code: "webhook-secret-old",
      message: "Secret 1 of SHIPSTATION_WEBHOOK_TOKENS is older than 90 days: rotate it (docs/webhooks.md).",
    });
    expect(await of("WEBHOOK_SECRETS", 1)).toMatchObject({ age_days: 91, old: true });
    expect(await app.server.command("secrets", "list")).toMatch(/91 days +OLD: rotate it/);
    (await app.hook(shipment({ timestamp: clock.in(0) }))).expect(200);
    await eventually(async () => expect(logged()).toHaveLength(6));
    await sleep(1_000);
    expect(logged()).toHaveLength(6);
    expect(logged()[0]).toMatchObject({ level: "warn", age_days: 91 });
    await advance(92.1);
    await eventually(async () => expect(logged()).toHaveLength(12));
  });

  test("ages outlive a restart; a new secret is young, one taken out no longer warns", async () => {
    const before = await of("WEBHOOK_SECRETS", 2);
    await app.server.stop();
    Object.assign(app.server.env, {
      WEBHOOK_SECRETS: `brand-new-secret-that-takes-over,default:${SECRETS.second}`,
    });
    const alone = await app.server.command("secrets", "list");
    expect(alone).toMatch(/^WEBHOOK_SECRETS +1 +default .*first seen never/m);
    expect(alone).toMatch(/^WEBHOOK_SECRETS +2 +default .*OLD/m);
    await app.server.start();
    app.connect();
    app.owner = await app.login("owner@default.example");
    await eventually(async () => {
      expect(await of("WEBHOOK_SECRETS", 1)).toMatchObject({ age_days: 0, old: false, last_used_at: null });
      expect(await of("WEBHOOK_SECRETS", 2)).toEqual(before);
      expect((await health()).warnings.map(({ message }) => message.split(" is ")[0]).sort()).toEqual([
        "Secret 1 of SHIPSTATION_WEBHOOK_TOKENS",
        "Secret 1 of SMARTSHEET_WEBHOOK_SECRET",
        "Secret 2 of WEBHOOK_SECRETS",
      ]);
    });
    const gone = (await rows()).filter(({ active, index }) => !active && index === null);
    expect(gone.length).toBe(3);
  });

  test.runIf(DATABASE === "postgres")("two servers on one database agree", async () => {
    const second = new App();
    try {
      second.server = new Server({
        ...SETTINGS,
        DATABASE_URL: app.server.env.DATABASE_URL,
        WEBHOOK_SECRETS: app.server.env.WEBHOOK_SECRETS,
      });
      await second.server.start();
      await second.open();
      const before = await rows();
      expect((await second.owner.get(PATH)).expect(200).data).toEqual(before);
      const event = shipment({ timestamp: clock.in(0) });
      (await second.hook(event, { secret: SECRETS.second })).expect(200);
      await eventually(async () => {
        const row = await of("WEBHOOK_SECRETS", 2);
        expect(Date.parse(row.last_used_at)).toBeGreaterThan(begun + 92 * DAY * 1000);
        expect(row.first_seen_at).toBe(before.find(({ index }) => index === 2).first_seen_at);
        expect((await second.owner.get(PATH)).expect(200).data).toEqual(await rows());
      });
      const warned = async (one) => (await one.anonymous.get("/status/health")).expect(200).json.warnings;
      await eventually(async () => expect(await warned(second)).toEqual(await warned(app)));
    } finally {
      await second.finish();
    }
  });
});

describe("C3 X6 a secret in a URL is nowhere to be read", () => {
  // Everything that the server has written: its log and, on SQLite, its database.
  const written = () =>
    readdirSync(app.server.folder, { recursive: true })
      .map((name) => path.join(app.server.folder, name))
      .filter((file) => statSync(file).isFile())
      .map((file) => [file, readFileSync(file, "latin1")]);

  test("not in answers, log, deliveries, jobs, metrics, audit or the data folder", async () => {
    const spoken = [];
    const say = async (promise) => spoken.push((await promise).text);
    const good = '{"resource_url":"https://ssapi.shipstation.com/orders?x=1","resource_type":"ORDER_NOTIFY"}';
    const post = (target, body = good, options = {}) => say(app.anonymous.post(target, body, options));
    const loose = { checked: false };
    await post(`/webhooks/shipstation?token=${TOKEN}`);
    await post(`/webhooks/shipstation?token=%61${TOKEN.slice(1)}`);
    await post(`/webhooks/shipstation?token=${TOKEN}`, "{");
    await post(`/webhooks/shipstation?token=${TOKEN}`, "x".repeat(70_000));
    await post(`/webhooks/shipstation?token=${TOKEN}&token=${TOKEN}`);
    await post(`/webhooks/shipstation?token=${TOKEN}x`);
    await post(`/webhooks/shipstation?token=${TOKEN}`, good, { headers: { Referer: `http://a/?${TOKEN}` } });
    await post(`/webhooks/shipstation?token=${TOKEN}`, good, {
      headers: { "x-shipengine-rsa-sha256-key-id": "1" },
    });
    await post(`/webhooks/shipstations?token=${TOKEN}`, good, loose);
    await post(`/webhooks/smartsheet/scan?token=${TOKEN}`, good, loose);
    await say(app.anonymous.get(`/webhooks/shipstation?token=${TOKEN}`, loose));
    await say(app.owner.get(`/api/v1/catalog?token=${TOKEN}`, loose));
    await say(app.owner.get(`/api/v1/catalog?filter[token]=${TOKEN}`, loose));
    spoken.push((await app.server.raw(`GET /x?token=${TOKEN} HTTP/1.1\r\n\r\n`)).text);
    spoken.push((await app.server.raw(`GET /x?token=${TOKEN} HTTP/9.9\r\nHost: a\r\n\r\n`)).text);
    await app.settled();
    const deliveries = await app.owner.all("/api/v1/deliveries?filter[source]=shipstation-v1");
    expect(deliveries.length).toBeGreaterThan(0);
    for (const { id } of deliveries) {
      await say(app.owner.get(`/api/v1/deliveries/${id}`));
      await say(app.owner.get(`/api/v1/deliveries/${id}/raw`, loose));
    }
    for (const target of ["/metrics", "/status/health"]) await say(app.anonymous.get(target));
    for (const target of [PATH, "/api/v1/audit", "/api/v1/jobs"]) await say(app.owner.get(target));
    spoken.push(await app.server.command("secrets", "list"), await app.server.command("config"));
    expect(spoken.filter((text) => text.includes(TOKEN.slice(1)))).toEqual([]);
    const files = written();
    expect(files.length).toBeGreaterThan(0);
    for (const secret of [TOKEN.slice(1), SHEET_SECRET, ...Object.values(SECRETS)])
      expect(files.filter(([, text]) => text.includes(secret)).map(([file]) => file)).toEqual([]);
  });
});
