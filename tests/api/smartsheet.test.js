// Scans from Smartsheet: the direct form, the challenge, callbacks whose rows are fetched, what they missed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App, useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { SECRET, SHEET, Smartsheet, callback, cellEvent, rowEvent } from "../lib/smartsheet.js";
import { fresh, sign } from "../lib/webhook.js";

const app = new App();
const sheets = new Smartsheet();
const HOOK = "/webhooks/smartsheet/scan";

beforeAll(async () => {
  await sheets.start();
  await app.launch({ ...sheets.settings, WEBHOOK_RATE: "100/min" });
}, 60_000);
afterAll(async () => {
  await app.finish();
  await sheets.stop();
}, 60_000);

const post = (body, headers = {}) =>
  app.anonymous.post(HOOK, body, { headers: { "content-type": null, ...headers } });
const direct = (scan, { secret = SECRET, header = "X-Smartsheet-Signature" } = {}) => {
  const body = typeof scan === "string" ? scan : JSON.stringify(scan);
  return post(body, { [header]: sign(body, secret) });
};
const ok = (answer) => expect(answer.expect(200).text).toBe('{"status":"ok"}');
const call = ({ body, signature }) => post(body, { "Smartsheet-Hmac-SHA256": signature });
const deliveries = (source) => app.owner.all(`/api/v1/deliveries?filter[source]=${source}`);
const show = async (id) => (await app.owner.get(`/api/v1/deliveries/${id}`)).expect(200).data;
const open = async () => app.owner.all("/api/v1/catalog/exceptions?filter[state]=open");

// Sends a callback and gives its delivery, once all that it led to is done.
async function called(events, changes) {
  const sent = callback(events, changes);
  ok(await call(sent));
  const { nonce } = JSON.parse(sent.body);
  return app.delivery(nonce);
}

async function sync() {
  expect(await app.server.cli(["jobs", "run", "smartsheet_sync"])).toMatchObject({ status: 0 });
  await app.settled();
}

describe("W1 Smartsheet, direct form", () => {
  const SIGNATURES = ["X-Smartsheet-Signature", "Smartsheet-Hmac-SHA256"];
  test.each(SIGNATURES)("a scan signed by %s is received", async (header) => {
    const sku = fresh("SM");
    const scan = { sku, name: "Lamp", quantity: 3, barcode: "4006381333931", colour: "red" };
    ok(await direct(scan, { header }));
    await app.settled();
    expect(await app.onHand(sku)).toBe(3);
    const item = (await app.owner.get(`/api/v1/catalog/${sku}`)).expect(200).data;
    expect(item).toMatchObject({ name: "Lamp", barcodes: [{ code: "4006381333931" }] });
    expect((await app.moves(sku))[0]).toMatchObject({ source: "smartsheet", reason: "received" });
  });

  test("an id makes it count once, with the same or with other content", async () => {
    const sku = fresh("SM");
    for (const id of ["one", 12345678901234567890n]) {
      const body = `{"sku":"${sku}","quantity":2,"id":${typeof id === "string" ? `"${id}"` : id}}`;
      for (let i = 0; i < 3; i++) ok(await direct(body));
    }
    ok(await direct({ sku, quantity: 9, id: "one" }));
    await app.settled();
    expect(await app.onHand(sku)).toBe(4);
  });

  test("without an id the same body counts once, a hundred times at once as well", async () => {
    const sku = fresh("SM");
    const answers = await Promise.all(Array.from({ length: 100 }, () => direct({ sku, quantity: 5 })));
    answers.forEach(ok);
    ok(await direct({ quantity: 5, sku }));
    await app.settled();
    expect(await app.onHand(sku)).toBe(10);
  });

  test("refuses: no signature, two, wrong ones, what is no JSON", async () => {
    const body = JSON.stringify({ sku: fresh("SM"), quantity: 1 });
    const good = sign(body, SECRET);
    refused(await post(body), 401);
    refused(await post(body, { "X-Smartsheet-Signature": good, "Smartsheet-Hmac-SHA256": good }), 400);
    const others = [sign(body, "wrong"), sign(`${body} `, SECRET)];
    for (const wrong of ["", "00", "zz".repeat(32), good.slice(1), ...others])
      refused(await post(body, { "X-Smartsheet-Signature": wrong }), 403);
    for (const text of ["{", "[1]", "7", '{"sku":"A","sku":"B"}', ""]) refused(await direct(text), 400);
    refused(await direct({ sku: "X".repeat(70_000), quantity: 1 }), 413);
    ok(await post(body, { "X-Smartsheet-Signature": good.toUpperCase() }));
  });

  test.each([
    ["sku", { quantity: 1 }],
    ["sku", { sku: "with space", quantity: 1 }],
    ["sku", { sku: "S".repeat(65), quantity: 1 }],
    ["quantity", { sku: "SM-BAD" }],
    ["quantity", { sku: "SM-BAD", quantity: -1 }],
    ["quantity", { sku: "SM-BAD", quantity: 1.5 }],
    ["quantity", { sku: "SM-BAD", quantity: "3" }],
  ])("a bad %s is 422 and one exception, however often it comes", async (field, scan) => {
    const before = (await open()).length;
    for (let i = 0; i < 3; i++) refused(await direct(scan), 422, field);
    await app.settled();
    const rows = await open();
    expect(rows.length).toBe(before + 1);
    expect(rows[0]).toMatchObject({ kind: "scan", source: "smartsheet", problems: [{ field }] });
  });

  test("a bad one is repaired as an exception; replaying its delivery then moves nothing twice", async () => {
    const sku = fresh("SM");
    refused(await direct({ sku, quantity: -4 }), 422, "quantity");
    await app.settled();
    const [exception] = await open();
    const url = `/api/v1/catalog/exceptions/${exception.id}/replay`;
    expect([200, 201]).toContain((await app.owner.post(url, { sku, quantity: 4 })).status);
    expect(await app.onHand(sku)).toBe(4);
    const delivery = (await deliveries("smartsheet"))[0];
    expect(delivery.problem).toContain("quantity");
    (await app.owner.post(`/api/v1/deliveries/${delivery.id}/replay`)).expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(4);
  });

  test("belongs to the organisation whose secret signs", async () => {
    const sku = fresh("SM");
    const other = await app.other();
    await eventually(async () => ok(await direct({ sku, quantity: 1 }, { secret: "secret-of-the-other" })));
    await app.settled(other);
    expect(await app.onHand(sku, "warehouse", other)).toBe(1);
    expect(await app.onHand(sku)).toBe(0);
  });
});

describe("W1 Smartsheet's challenge", () => {
  test("is echoed in header and body, signed or not", async () => {
    const challenge = "a1b2c3-d4_e5";
    for (const headers of [{}, { "Smartsheet-Hmac-SHA256": "00" }]) {
      const body = JSON.stringify({ challenge, webhookId: 1 });
      const answer = await post(body, { "Smartsheet-Hook-Challenge": challenge, ...headers });
      expect(answer.expect(200).json).toEqual({ smartsheetHookResponse: challenge });
      expect(answer.headers["smartsheet-hook-response"]).toBe(challenge);
    }
  });
});

describe("X5 WEBHOOK_RATE at Smartsheet's webhook", () => {
  const slow = useApp({ SMARTSHEET_WEBHOOK_SECRET: SECRET, WEBHOOK_RATE: "3/h" });
  const send = (body, headers) =>
    slow.anonymous.post(HOOK, body, { headers: { "content-type": null, ...headers } });

  test("counts challenges and wrong signatures, and never what is rightly signed", async () => {
    const body = JSON.stringify({ sku: fresh("SM"), quantity: 1 });
    const signature = (secret) => ({ "X-Smartsheet-Signature": sign(body, secret) });
    const unproven = [{ "Smartsheet-Hook-Challenge": "a1" }, signature("wrong")];
    const taken = [];
    for (let i = 0; i < 6; i++) taken.push((await send(body, unproven[i % 2])).status);
    expect(taken).toEqual([200, 403, 200, 429, 429, 429]);
    for (let i = 0; i < 6; i++) ok(await send(body, signature(SECRET)));
  });
});

describe("W1 Smartsheet's callbacks", () => {
  test("name rows, which are fetched and received once", async () => {
    const [a, b] = [fresh("ROW"), fresh("ROW")];
    const one = sheets.add(a, "Chair", 4);
    const two = sheets.add(b, undefined, 2.0, "warehouse");
    const events = [rowEvent(one), cellEvent(two), cellEvent(two, "rowid"), rowEvent(one, "updated")];
    const delivery = await called(events);
    expect(delivery).toMatchObject({ source: "smartsheet.callback", state: "applied", problem: null });
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([4, 2]);
    const { derived } = await show(delivery.id);
    expect(derived.map((row) => row.state)).toEqual(["applied", "applied"]);
    const row = await show(derived[0].id);
    expect(row).toMatchObject({ source: "smartsheet.row", cause_id: delivery.id, moves: [{ quantity: 4 }] });
    await called([rowEvent(one, "updated")]);
    (await app.owner.post(`/api/v1/deliveries/${delivery.id}/replay`)).expect(200);
    await app.settled();
    expect([await app.onHand(a), await app.onHand(b)]).toEqual([4, 2]);
  });

  test("the same callback twice is fetched once", async () => {
    const sku = fresh("ROW");
    const sent = callback([rowEvent(sheets.add(sku, undefined, 1))]);
    const before = sheets.fetches;
    for (let i = 0; i < 5; i++) ok(await call(sent));
    await app.settled();
    expect(await app.onHand(sku)).toBe(1);
    expect(sheets.fetches).toBe(before + 1);
  });

  test("a row that is filled in cell by cell counts when whole, and its exception has ended", async () => {
    const sku = fresh("ROW");
    const row = sheets.add();
    await called([rowEvent(row)]);
    const before = (await open()).length;
    sheets.set(row, sku);
    await called([cellEvent(row)]);
    expect((await open()).length).toBe(before + 1);
    expect((await open())[0].problems).toMatchObject([{ field: "quantity" }]);
    sheets.set(row, sku, "Table", 6);
    await called([cellEvent(row)]);
    expect(await app.onHand(sku)).toBe(6);
    expect((await open()).length).toBe(before);
  });

  test("a row that counted and is then changed is an exception; deleting it takes nothing back", async () => {
    const sku = fresh("ROW");
    const row = sheets.add(sku, undefined, 3);
    await called([rowEvent(row)]);
    sheets.set(row, sku, undefined, 5);
    const before = (await open()).length;
    await called([cellEvent(row)]);
    expect(await app.onHand(sku)).toBe(3);
    expect((await open()).length).toBe(before + 1);
    sheets.rows.pop();
    const gone = await called([rowEvent(row, "deleted")]);
    expect(gone).toMatchObject({ state: "applied", problem: expect.stringContaining("deleted") });
    expect(await app.onHand(sku)).toBe(3);
  });

  test.each([
    ["DATE", "quantity"],
    ["HOLOGRAM", "quantity"],
  ])("a quantity in a column of type %s is a field error", async (type, field) => {
    const column = sheets.columns[2];
    const kept = column.type;
    column.type = type;
    const before = (await open()).length;
    await called([rowEvent(sheets.add(fresh("ROW"), undefined, 3))]);
    column.type = kept;
    const rows = await open();
    expect(rows.length).toBe(before + 1);
    expect(rows[0].problems).toMatchObject([{ field, problem: expect.stringContaining(type) }]);
  });

  test.each([
    ["7", 7],
    [7, 7],
    [" 7 ", 7],
    ["seven", null],
    [1.5, null],
    [-2, null],
    ["#CIRCULAR REFERENCE", null],
    [true, null],
  ])("a quantity of %j", async (value, quantity) => {
    const sku = fresh("ROW");
    const before = (await open()).length;
    await called([rowEvent(sheets.add(sku, undefined, value))]);
    expect(await app.onHand(sku)).toBe(quantity ?? 0);
    expect((await open()).length).toBe(before + (quantity === null ? 1 : 0));
  });

  test("a SKU that is a number is its digits", async () => {
    await called([rowEvent(sheets.add(40065551, undefined, 1))]);
    expect(await app.onHand("40065551")).toBe(1);
  });

  test("of sheets that are not ours, without rows, and about the webhook itself", async () => {
    const foreign = await called([{ objectType: "row", eventType: "created", id: 1 }], { scopeObjectId: 42 });
    expect(foreign).toMatchObject({ state: "ignored", problem: expect.stringContaining("42") });
    const none = await called([{ objectType: "sheet", eventType: "updated", id: SHEET }]);
    expect(none).toMatchObject({ state: "ignored" });
    const off = await called(undefined, { newWebhookStatus: "DISABLED_CALLBACK_FAILED" });
    const problem = expect.stringContaining("DISABLED_CALLBACK_FAILED");
    expect(off).toMatchObject({ state: "exception", problem });
    const sku = fresh("ROW");
    sheets.add(sku, undefined, 8);
    expect(await called(undefined, { newWebhookStatus: "ENABLED" })).toMatchObject({ state: "applied" });
    await eventually(async () => expect(await app.onHand(sku)).toBe(8)); // what was missed meanwhile
  });

  test("of a large change of the sheet are taken up to 1 MiB, else it would be switched off", async () => {
    const sku = fresh("LARGE");
    const rows = [1, 2, 3].map((quantity) => sheets.add(sku, undefined, quantity));
    const gone = Array.from({ length: 12_000 }, (_, i) => rowEvent({ id: BigInt(i + 1) }, "deleted"));
    const changed = Array.from({ length: 300 }, (_, i) => cellEvent(rows[i % 3]));
    const events = [...gone, ...changed];
    const { body } = callback(events);
    expect(body.length).toBeGreaterThan(900_000);
    expect(body.length).toBeLessThan(1024 * 1024);
    const before = sheets.fetches;
    expect(await called(events)).toMatchObject({ state: "applied" });
    expect(await app.onHand(sku)).toBe(6);
    expect(sheets.fetches).toBe(before + 1);
    const head = (length) =>
      `POST ${HOOK} HTTP/1.1\r\nHost: a\r\nSmartsheet-Hmac-SHA256: 00\r\nContent-Length: ${length}\r\n\r\n`;
    expect((await app.server.raw(head(1024 * 1024 + 1))).text).toMatch(/^HTTP\/1\.1 413 /);
    const own = callback(gone.slice(0, 1_000)).body;
    refused(await post(own, { "X-Smartsheet-Signature": sign(own, SECRET) }), 413);
    const scan = JSON.stringify({ sku: fresh("LARGE"), quantity: 1, note: "x".repeat(70_000) });
    refused(await call({ body: scan, signature: sign(scan, SECRET) }), 413);
  });

  test("with a wrong signature or without a sheet are refused", async () => {
    const { body } = callback([]);
    refused(await post(body, { "Smartsheet-Hmac-SHA256": sign(body, "wrong") }), 403);
    refused(await call({ body: '{"events":[]}', signature: sign('{"events":[]}', SECRET) }), 422);
  });
});

describe("W1 when Smartsheet misbehaves", () => {
  const html = ({ send }) => send(200, "<html>Sign in</html>", "text/html");
  const faults = {
    500: ({ send }) => send(500, "oops", "text/plain"),
    "503 with errorCode 4001": ({ send }) => send(503, '{"errorCode":4001,"message":"offline"}'),
    "400 with errorCode 4004": ({ send }) => send(400, '{"errorCode":4004,"message":"busy"}'),
    HTML: html,
    "half a body": ({ response, good }) => {
      const body = good();
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
      response.write(body.slice(0, body.length / 2), () => response.destroy());
    },
    "JSON that is cut": ({ send, good }) => send(200, good().slice(0, -20)),
    "another shape": ({ send }) => send(200, '{"columns":{}}'),
    "a closed connection": ({ request }) => request.socket.destroy(),
    "a redirect to a private address": ({ response }) =>
      response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
  };
  test.each(Object.entries(faults))("%s is tried again and counts once", async (_, fault) => {
    const sku = fresh("FAULT");
    const row = sheets.add(sku, undefined, 2);
    const before = sheets.fetches;
    sheets.faults.push(fault);
    await called([rowEvent(row)]);
    expect(await app.onHand(sku)).toBe(2);
    expect(sheets.fetches).toBe(before + 2);
  });

  test("what is refused for good is a dead job with the reason; a replay makes it good", async () => {
    const sku = fresh("FAULT");
    sheets.faults.push(({ send }) => send(404, '{"errorCode":1006,"message":"Not Found"}'));
    const sent = callback([rowEvent(sheets.add(sku, undefined, 2))]);
    ok(await call(sent));
    const { nonce } = JSON.parse(sent.body);
    const dead = await eventually(async () => {
      const row = (await deliveries("smartsheet.callback")).find(({ event_id }) => event_id === nonce);
      const { jobs } = await show(row.id);
      expect(jobs[0]?.state).toBe("dead");
      return { row, job: jobs[0] };
    });
    expect(dead.row.state).toBe("pending");
    expect(dead.job.last_error).toContain("1006");
    (await app.owner.post(`/api/v1/deliveries/${dead.row.id}/replay`)).expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(2);
  });
});

describe("W9 smartsheet_sync", () => {
  test("makes good what callbacks missed, page by page, and nothing counts twice", async () => {
    const sku = fresh("SYNC");
    for (let i = 0; i < 1101; i++) sheets.add(sku, undefined, 1);
    sheets.total = 7; // the count in the answer is not to be relied on
    await sync();
    expect(await app.onHand(sku)).toBe(1101);
    await called(sheets.rows.slice(-3).map((row) => rowEvent(row)));
    await sync();
    expect(await app.onHand(sku)).toBe(1101);
    expect(sheets.requests.at(-1).searchParams.get("rowsModifiedSince")).toMatch(/^\d{4}-.*Z$/);
  }, 60_000);
});

// Last, because it closes the way out for a minute.
describe("W1 too many requests", () => {
  test("429 with errorCode 4003 is waited out: nothing more is asked, and nothing is lost", async () => {
    const sku = fresh("RATE");
    sheets.faults.push(({ send }) => send(429, '{"errorCode":4003,"message":"Rate limit exceeded."}'));
    ok(await call(callback([rowEvent(sheets.add(sku, undefined, 1))])));
    const before = await eventually(async () => {
      const [row] = await deliveries("smartsheet.callback");
      const { jobs } = await show(row.id);
      expect(jobs[0]?.last_error).toContain("too many requests");
      return sheets.fetches;
    });
    await eventually(async () => {
      const [row] = await deliveries("smartsheet.callback");
      expect((await show(row.id)).jobs[0].attempts).toBeGreaterThan(1);
    });
    expect(sheets.fetches).toBe(before);
    // SIGKILL with the rows not yet fetched; the next process has no such minute and gets them.
    await app.server.kill();
    await app.server.start();
    await app.open();
    await app.settled(app.owner, 30_000);
    expect(await app.onHand(sku)).toBe(1);
  }, 60_000);
});
