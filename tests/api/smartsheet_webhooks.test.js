// W9: entrepot makes its webhooks at Smartsheet, switches them on, and on again when they were switched off.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { SHEET, Smartsheet, rowEvent } from "../lib/smartsheet.js";
import { fresh } from "../lib/webhook.js";

const PUBLIC_URL = "https://stock.example:8443";
const HOOK = `${PUBLIC_URL}/webhooks/smartsheet/scan`;
const LIST = "/api/v1/webhooks/smartsheet";
const app = new App();
const sheets = new Smartsheet();

beforeAll(async () => {
  await sheets.start();
  await app.launch({ ...sheets.settings, SMARTSHEET_WEBHOOK_SECRET: "", PUBLIC_URL });
}, 60_000);
afterAll(async () => {
  await app.finish();
  await sheets.stop();
}, 60_000);
beforeEach(() => {
  sheets.reach = app.server.url;
  sheets.hookFaults = [];
  sheets.hookRequests = [];
});

const shown = async () => (await app.owner.get(LIST)).expect(200).data[0];
const exceptions = () =>
  app.owner.all("/api/v1/catalog/exceptions?filter[kind]=webhook&filter[state]=open");
const warnings = async () => {
  const { json } = (await app.anonymous.get("/status/health")).expect(200);
  return (json.warnings ?? []).map(({ code }) => code);
};
const cli = (...args) => app.server.cli(["smartsheet", ...args]);
const check = () => app.server.cli(["jobs", "run", "smartsheet.webhooks"]);
const creations = () => sheets.hookRequests.filter((route) => route === "POST /webhooks").length;
const enablings = () => sheets.hookRequests.filter((route) => route.startsWith("PUT ")).length;
const jobsAtRest = () =>
  eventually(async () => {
    const rows = await app.owner.all("/api/v1/jobs");
    expect(rows.filter(({ state }) => ["ready", "running"].includes(state))).toEqual([]);
  });
// A sheet without a webhook, and nothing known of one.
async function startOver() {
  await jobsAtRest();
  sheets.hooks = [];
  expect(await cli("disable")).toMatchObject({ status: 0 });
}
// One that is on, whatever was before.
async function on() {
  await jobsAtRest();
  sheets.hooks = [];
  expect(await cli("enable", String(SHEET))).toMatchObject({ status: 0 });
  expect(await shown()).toMatchObject({ enabled: true, status: "ENABLED", problem: null, attempts: 0 });
  await jobsAtRest(); // a sync follows, and a check
  sheets.hookRequests = [];
  return sheets.hooks[0];
}
// The server takes a secret up with its next look, at most a second later.
const told = (hook, events) =>
  eventually(async () => {
    Object.assign(hook, { enabled: true, status: "ENABLED" });
    const { status } = await sheets.tell(hook, events);
    expect(status).toBe(200);
  });

describe("W9 Smartsheet's webhooks", () => {
  test("are made and verified by the sync, once, and prove callbacks by their own secret", async () => {
    expect(await shown()).toMatchObject({ enabled: false, status: null, webhook_id: null });
    for (let i = 0; i < 3; i++)
      expect(await app.server.cli(["jobs", "run", "smartsheet_sync"])).toMatchObject({ status: 0 });
    await eventually(async () => expect(await shown()).toMatchObject({ status: "ENABLED", enabled: true }));
    await jobsAtRest();
    expect(creations()).toBe(1);
    expect(sheets.hooks).toMatchObject([
      { callbackUrl: HOOK, scopeObjectId: SHEET, events: ["*.*"], version: 1, status: "ENABLED" },
    ]);
    expect(await shown()).toMatchObject({ callback_url: HOOK, problem: null, off_since: null });
    expect(JSON.stringify(await shown())).not.toContain(sheets.hooks[0].sharedSecret);
    const sku = fresh("HOOK");
    await told(sheets.hooks[0], [rowEvent(sheets.add(sku, undefined, 3))]);
    await eventually(async () => expect(await app.onHand(sku)).toBe(3));
    expect(app.server.log()).not.toContain(sheets.hooks[0].sharedSecret);
  });

  test("one that is there already is taken over, not doubled, whoever tells its secret", async () => {
    for (const secretInList of [false, true]) {
      sheets.secretInList = secretInList;
      await startOver();
      const older = sheets.addHook({ name: "by hand", callbackUrl: HOOK });
      sheets.addHook({ name: "by hand, twice", callbackUrl: HOOK });
      sheets.addHook({ name: "of others", callbackUrl: "https://elsewhere.example/hook", status: "ENABLED" });
      expect(await cli("enable")).toMatchObject({ status: 0 });
      expect(await shown()).toMatchObject({ enabled: true, webhook_id: Number(older.id) });
      expect(sheets.hooks).toHaveLength(3);
      expect(older.status).toBe("ENABLED");
      const sku = fresh("HOOK");
      await told(older, [rowEvent(sheets.add(sku, undefined, 1))]);
      await eventually(async () => expect(await app.onHand(sku)).toBe(1));
    }
    sheets.secretInList = false;
  });

  test("a secret that no answer tells is exchanged", async () => {
    await startOver();
    const hook = sheets.addHook({ name: "by hand", callbackUrl: HOOK });
    const secret = hook.sharedSecret;
    const show = ({ send }) => send(200, { ...hook, sharedSecret: undefined });
    sheets.hookFaults.push({ route: new RegExp(`^GET /webhooks/${hook.id}$`), answer: show });
    expect(await cli("enable")).toMatchObject({ status: 0 });
    expect(hook.sharedSecret).not.toBe(secret);
    await told(hook, [rowEvent(sheets.add(fresh("HOOK"), undefined, 1))]);
  });

  test.each(["NEW_NOT_VERIFIED", "DISABLED_CALLBACK_FAILED", "DISABLED_VERIFICATION_FAILED"])(
    "one that is %s is switched on again, and what was missed is fetched",
    async (status) => {
      const hook = await on();
      sheets.switchOff(hook, status);
      const sku = fresh("MISSED");
      sheets.add(sku, undefined, 4);
      expect(await check()).toMatchObject({ status: 0 });
      expect(await shown()).toMatchObject({ status: "ENABLED", problem: null, attempts: 0 });
      expect(hook.enabled).toBe(true);
      await eventually(async () => expect(await app.onHand(sku)).toBe(4));
    },
  );

  test("Smartsheet's word that one is off or on again has it looked at", async () => {
    const hook = await on();
    await told(hook, [rowEvent(sheets.add(fresh("HOOK"), undefined, 1))]);
    sheets.switchOff(hook, "DISABLED_CALLBACK_FAILED");
    const answer = await sheets.tell(hook, undefined, { newWebhookStatus: "DISABLED_CALLBACK_FAILED" });
    expect(answer.status).toBe(200);
    await eventually(async () => expect(hook.status).toBe("ENABLED"));
    await eventually(async () => expect(await shown()).toMatchObject({ status: "ENABLED" }));
  });

  test("what cannot be verified is tried ever more seldom, and told in three places", async () => {
    const hook = await on();
    sheets.reach = null;
    sheets.switchOff(hook, "DISABLED_CALLBACK_FAILED");
    for (let i = 0; i < 5; i++) expect(await check()).toMatchObject({ status: 0 });
    expect(enablings(), "the next attempt is not due").toBe(1);
    const row = await shown();
    expect(row).toMatchObject({ enabled: false, status: "DISABLED_VERIFICATION_FAILED", attempts: 1 });
    expect(row.problem).toContain("no echo");
    expect(Date.parse(row.next_attempt_at)).toBeGreaterThan(Date.now());
    const [exception, ...more] = await exceptions();
    expect(more).toEqual([]);
    expect(exception.problems[0].problem).toContain("DISABLED_VERIFICATION_FAILED");
    await eventually(async () => expect(await warnings()).toContain("smartsheet-webhook-off"));
    expect((await cli("list")).stdout).toContain("DISABLED_VERIFICATION_FAILED");
    // A person has mended the way in, and says so in the list of exceptions.
    sheets.reach = app.server.url;
    const replay = `/api/v1/catalog/exceptions/${exception.id}/replay`;
    expect((await app.owner.post(replay)).status).toBeLessThan(300);
    await eventually(async () => expect(await shown()).toMatchObject({ enabled: true, problem: null }));
    await eventually(async () => expect(await warnings()).not.toContain("smartsheet-webhook-off"));
    expect(await exceptions()).toEqual([]);
  });

  test("the effort is bounded: after ten attempts it is left to a person", async () => {
    const hook = await on();
    sheets.reach = null;
    sheets.switchOff(hook, "DISABLED_CALLBACK_FAILED");
    for (let i = 0; i < 10; i++) expect(await cli("enable")).toMatchObject({ status: 0 });
    expect(await shown()).toMatchObject({
      attempts: 10,
      next_attempt_at: null,
      problem: expect.stringContaining("not tried again by itself"),
    });
    expect(await exceptions()).toHaveLength(1);
    sheets.hookRequests = [];
    sheets.reach = app.server.url;
    expect(await check()).toMatchObject({ status: 0 });
    expect(enablings()).toBe(0);
    expect(await cli("enable", String(SHEET))).toMatchObject({ status: 0 });
    expect(await shown()).toMatchObject({ enabled: true, attempts: 0 });
    expect(await exceptions()).toEqual([]);
  });

  test.each([
    ["DISABLED_SCOPE_INACCESSIBLE", "shared", 1],
    ["DISABLED_ADMINISTRATIVE", "api@smartsheet.com", 1],
    ["DISABLED_APP_REVOKED", "lost its access", 1],
    ["DISABLED_BY_OWNER", "on purpose", 0],
    ["DISABLED_BY_THE_MOON", "says no more", 1],
  ])("one that is %s is not switched on by itself", async (status, says, told) => {
    const hook = await on();
    sheets.switchOff(hook, status);
    expect(await check()).toMatchObject({ status: 0 });
    expect(enablings()).toBe(0);
    expect(await shown()).toMatchObject({ status, enabled: false, problem: expect.stringContaining(says) });
    expect(await exceptions()).toHaveLength(told);
    if (status === "DISABLED_SCOPE_INACCESSIBLE") {
      Object.assign(hook, { enabled: true, status: "ENABLED" }); // Smartsheet does that itself
      expect(await check()).toMatchObject({ status: 0 });
      expect(await shown()).toMatchObject({ enabled: true, problem: null });
      expect(await exceptions()).toEqual([]);
    }
  });

  test("a person switches on what may be, and hears why not", async () => {
    const revoked = await on();
    sheets.switchOff(revoked, "DISABLED_APP_REVOKED");
    expect(await cli("enable")).toMatchObject({ status: 0 });
    expect(sheets.hooks).toHaveLength(2); // the old one is of no more use
    expect(await shown()).toMatchObject({ enabled: true, webhook_id: Number(sheets.hooks[1].id) });
    const barred = await on();
    sheets.switchOff(barred, "DISABLED_ADMINISTRATIVE");
    const { status, stderr } = await cli("enable");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^entrepot: [^\n]*1154[^\n]*\n$/);
    expect((await shown()).problem).toContain("1154");
  });

  test("disable holds until enable; rotate takes the secret before for a while", async () => {
    const hook = await on();
    const by = async (verb) => (await app.owner.post(`${LIST}/${SHEET}/${verb}`)).expect(202).data;
    await by("disable");
    await eventually(async () => expect(await shown()).toMatchObject({ status: "DISABLED_BY_OWNER" }));
    expect(await check()).toMatchObject({ status: 0 });
    expect(hook.enabled).toBe(false);
    await by("enable");
    await eventually(async () => expect(await shown()).toMatchObject({ status: "ENABLED" }));
    const before = hook.sharedSecret;
    const { job_id } = await by("rotate");
    await eventually(async () => (await app.owner.get(`/api/v1/jobs/${job_id}`)).expect(404));
    expect(hook.sharedSecret).not.toBe(before);
    await told(hook, [rowEvent(sheets.add(fresh("HOOK"), undefined, 1))]);
    const signed = { ...hook, sharedSecret: before };
    const late = await sheets.tell(signed, [rowEvent(sheets.add(fresh("HOOK")))]);
    expect(late.status).toBe(200);
    const never = await sheets.tell({ ...hook, sharedSecret: "guessed" }, []);
    expect(never.status).toBe(403);
  });

  test("a sheet that is not there, a token that may not: told once, tried seldom", async () => {
    await startOver();
    const lost = ({ refuse }) => refuse(400, 1151, `Scope 'sheet', object id ${SHEET} was not found.`);
    sheets.hookFaults.push({ route: /^POST \/webhooks$/, answer: lost });
    const { status, stderr } = await cli("enable");
    expect(status).toBe(1);
    expect(stderr).toContain("1151");
    expect(await exceptions()).toHaveLength(1);
    for (let i = 0; i < 4; i++) expect(await check()).toMatchObject({ status: 0 });
    expect(creations(), "the next attempt is not due").toBe(1);
    expect(await cli("enable")).toMatchObject({ status: 0 });
    expect(await exceptions()).toEqual([]);
  });

  const FAULTS = {
    "503 with errorCode 4001": ({ send }) => send(503, '{"errorCode":4001,"message":"offline"}'),
    HTML: ({ send }) => send(200, "<html>Sign in</html>", "text/html"),
    "a closed connection": ({ request }) => request.socket.destroy(),
    "another shape": ({ send }) => send(200, '{"data":{},"result":{}}'),
  };
  const ROUTES = { list: /^GET \/webhooks$/, make: /^POST \/webhooks$/, "switch on": /^PUT / };
  const cases = Object.keys(FAULTS).flatMap((fault) => Object.keys(ROUTES).map((route) => [fault, route]));
  test.each(cases)("%s when it is asked to %s is tried again by the job", async (fault, route) => {
    await startOver();
    sheets.hookFaults.push({ route: ROUTES[route], answer: FAULTS[fault] });
    (await app.owner.post(`${LIST}/${SHEET}/enable`)).expect(202);
    await eventually(async () => expect(await shown()).toMatchObject({ enabled: true, problem: null }));
    expect(sheets.hookFaults).toEqual([]);
    expect(sheets.hooks.filter((hook) => hook.enabled)).toHaveLength(1);
  });

  test("SIGKILL between making it and writing it down: it is found again, not doubled", async () => {
    await startOver();
    sheets.hookFaults.push({ route: /^POST \/webhooks$/, after: () => app.server.child.kill("SIGKILL") });
    (await app.owner.post(`${LIST}/${SHEET}/enable`)).expect(202);
    await app.server.exit;
    await app.server.start();
    await app.open();
    await eventually(async () => expect(await shown()).toMatchObject({ enabled: true }), { within: 40_000 });
    expect(sheets.hooks).toHaveLength(1);
    const sku = fresh("HOOK");
    await told(sheets.hooks[0], [rowEvent(sheets.add(sku, undefined, 2))]);
    await eventually(async () => expect(await app.onHand(sku)).toBe(2));
  }, 90_000);

  test("another SECRET_KEY cannot open the secret: it is exchanged", async () => {
    const hook = await on();
    const before = hook.sharedSecret;
    expect(await app.server.stop()).toEqual({ status: 0, signal: null });
    app.server.env.SECRET_KEY = "tests-only-another-secret-key-9d1c-77a0-4e5b-of-64-bytes-or-nearly-so";
    await app.server.start();
    await app.open();
    sheets.reach = app.server.url;
    expect(await check()).toMatchObject({ status: 0 });
    expect(hook.sharedSecret).toBe(before); // an answer tells it, so it is only sealed anew
    await told(hook, [rowEvent(sheets.add(fresh("HOOK"), undefined, 1))]);
  }, 60_000);

  test("other organisations have their own; who may, and what is wrong", async () => {
    refused(await app.owner.post(`${LIST}/42/enable`), 404);
    refused(await app.owner.post(`${LIST}/scan/enable`), 404);
    const other = await app.other();
    expect((await other.get(LIST)).expect(200).data).toEqual([]);
    refused(await other.post(`${LIST}/${SHEET}/enable`), 404);
    expect(await cli("enable", "42")).toMatchObject({ status: 1, stderr: expect.stringContaining("42") });
    expect(await cli("enable", "scan")).toMatchObject({ status: 2 });
    expect((await cli("list", "--org", "Other Company")).stdout).toMatch(/SMARTSHEET_SHEETS/);
    expect(await cli("list", "--org", "nobody")).toMatchObject({ status: 1 });
  });
});

describe("W9 without PUBLIC_URL, or with one that Smartsheet does not call", () => {
  test.each([
    ["", /PUBLIC_URL is not set/],
    ["https://stock.example:9000", /8443/],
    ["http://localhost:8000", /https/],
  ])("%j is told, and nothing is made", async (url, says) => {
    const made = sheets.hooks.length;
    const env = { PUBLIC_URL: url, DATABASE_URL: app.server.env.DATABASE_URL };
    expect(await app.server.stop()).toEqual({ status: 0, signal: null });
    const { status, stderr } = await app.server.cli(["smartsheet", "enable"], { env });
    await app.server.start();
    await app.open();
    expect({ status, lines: stderr.split("\n").length }).toEqual({ status: 2, lines: 2 });
    expect(stderr).toMatch(says);
    expect(sheets.hooks.length).toBe(made);
  });

  test.each(["stock.example", "ftp://stock.example", "https://", "https://a.example/path"])(
    "%s is refused by config check",
    async (url) => {
      const env = { PUBLIC_URL: url };
      const { status, stderr, stdout } = await app.server.cli(["config", "check"], { env });
      expect(status).toBe(2);
      expect(stdout + stderr).toContain("PUBLIC_URL");
    },
  );
});
