// A stand-in for Smartsheet's API 2.0, as far as sheets are read and webhooks are managed, that misbehaves on
// demand.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { signed } from "./webhook.js";

export const SHEET = 3280000000000001n;
export const TOKEN = "smartsheet-token-of-the-tests";
export const SECRET = "shared-secret-of-the-webhook";

const COLUMNS = [
  { title: "Item SKU", type: "TEXT_NUMBER" },
  { title: "Product Name", type: "TEXT_NUMBER" },
  { title: "Qty", type: "TEXT_NUMBER" },
  { title: "Location", type: "PICKLIST" },
  { title: "Remarks", type: "CONTACT_LIST" },
];

// Numbers near 2^53 and beyond must stay as they are written.
const stringify = (value) =>
  JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `\u0001${v}` : v)).replace(
    /"\\u0001(\d+)"/g,
    "$1",
  );

export class Smartsheet {
  columns = COLUMNS.map((column, index) => ({ id: 7310000000000001n + BigInt(index), index, ...column }));
  rows = [];
  requests = [];
  faults = []; // what the next requests get in place of an answer
  ids = 5640000000000001n;
  hooks = []; // as the API shows them; sharedSecret beside
  hookRequests = []; // "POST /webhooks"
  hookFaults = [];
  hookIds = 8440000000000001n;
  secretInList = false; // the description does not say
  reach = null; // where the address of a webhook really leads; null: nowhere

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}/2.0`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  get settings() {
    return {
      SMARTSHEET_BASE_URL: this.url,
      SMARTSHEET_TOKEN: TOKEN,
      SMARTSHEET_WEBHOOK_SECRET: `${SECRET},other-company:secret-of-the-other`,
      SMARTSHEET_SHEETS: `scan=${SHEET},draft_porf=456`,
      SMARTSHEET_RATE: "0",
    };
  }

  // How often rows were asked for by their ids; what is read by the clock comes when it will.
  get fetches() {
    return this.requests.filter((url) => url.searchParams.has("rowIds")).length;
  }

  // A row with these values in the order of the columns; undefined leaves a cell empty.
  add(...values) {
    const row = { id: this.ids++ };
    this.rows.push(row);
    return this.set(row, ...values);
  }

  set(row, ...values) {
    row.modifiedAt = new Date();
    row.cells = this.columns.map(({ id }, i) =>
      values[i] === undefined ? { columnId: id } : { columnId: id, value: values[i] },
    );
    return row;
  }

  page(query) {
    const wanted = query.get("rowIds")?.split(",");
    const since = query.get("rowsModifiedSince");
    const rows = this.rows.filter(
      (row) => (!wanted || wanted.includes(String(row.id))) && (!since || row.modifiedAt >= new Date(since)),
    );
    const size = Number(query.get("pageSize") ?? 100);
    const at = (Number(query.get("page") ?? 1) - 1) * size;
    return {
      id: SHEET,
      name: "Scans",
      version: 7,
      totalRowCount: this.total ?? this.rows.length,
      columns: this.columns,
      rows: rows.slice(at, at + size),
    };
  }

  answer(request, response) {
    const url = new URL(request.url, "http://stand.in");
    if (url.pathname.startsWith("/2.0/webhooks")) return this.answerHooks(request, response, url);
    this.requests.push(url);
    const send = (status, body, type = "application/json;charset=UTF-8") =>
      response.writeHead(status, { "content-type": type }).end(body);
    const fault = url.searchParams.has("rowIds") && this.faults.shift();
    if (fault) return fault({ request, response, send, good: () => stringify(this.page(url.searchParams)) });
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return send(401, '{"errorCode":1002,"message":"Your Access Token is invalid."}');
    if (url.pathname !== `/2.0/sheets/${SHEET}`)
      return send(404, '{"errorCode":1006,"message":"Not Found"}');
    return send(200, stringify(this.page(url.searchParams)));
  }

  // --- webhooks, as the tag webhooksDescription of the published description says ---

  async answerHooks(request, response, url) {
    const body = await text(request);
    const send = (status, value, type = "application/json;charset=UTF-8") =>
      response
        .writeHead(status, { "content-type": type })
        .end(typeof value === "string" ? value : stringify(value));
    const refuse = (status, errorCode, message) => send(status, { errorCode, message, refId: "r3f1d" });
    const route = `${request.method} ${url.pathname.slice("/2.0".length)}`;
    this.hookRequests.push(route);
    const fault = this.hookFaults[0]?.route.test(route) && this.hookFaults.shift();
    if (fault && fault.answer) return fault.answer({ request, response, send, refuse });
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return refuse(401, 1002, "Your Access Token is invalid.");
    const [, , , id, verb] = url.pathname.split("/");
    const hook = this.hooks.find((one) => String(one.id) === id);
    const done = (result) => send(200, { message: "SUCCESS", resultCode: 0, result });
    let answer;
    if (!id && request.method === "GET") answer = send(200, this.listHooks(url.searchParams));
    else if (!id && request.method === "POST") answer = this.createHook(JSON.parse(body), done, refuse);
    else if (!hook) answer = refuse(404, 1006, "Not Found");
    else if (verb === "resetSharedSecret" && request.method === "POST")
      answer = done({ sharedSecret: (hook.sharedSecret = `shared-${++secrets}`) });
    else if (request.method === "GET") answer = send(200, hook);
    else if (request.method === "PUT") answer = await this.updateHook(hook, JSON.parse(body), done, refuse);
    else answer = refuse(405, 1129, "Method not supported.");
    if (fault?.after) fault.after();
    return answer;
  }

  listHooks(query) {
    const size = query.get("includeAll") === "true" ? this.hooks.length : 100;
    const data = this.hooks
      .slice(0, size)
      .map((hook) => (this.secretInList ? hook : { ...hook, sharedSecret: undefined }));
    return { pageNumber: 1, pageSize: size, totalPages: 1, totalCount: this.hooks.length, data };
  }

  createHook(wanted, done, refuse) {
    const { name, callbackUrl, scope, scopeObjectId, events, version } = wanted;
    if (!name || scope !== "sheet" || version !== 1 || events?.length !== 1 || events[0] !== "*.*")
      return refuse(400, 1008, "Unable to parse request.");
    if (BigInt(scopeObjectId) !== SHEET)
      return refuse(400, 1151, `Scope 'sheet', object id ${scopeObjectId} was not found.`);
    const { protocol, port } = new URL(callbackUrl);
    if (protocol !== "https:" || !["", "8000", "8008", "8080", "8443"].includes(port))
      return refuse(400, 1152, "Only URLs with a protocol of 'https' are supported for 'callbackUrl'.");
    return done(this.addHook({ name, callbackUrl }));
  }

  addHook(values) {
    const now = new Date(Date.now() + this.hooks.length).toISOString();
    const hook = {
      id: this.hookIds++,
      scope: "sheet",
      scopeObjectId: SHEET,
      events: ["*.*"],
      version: 1,
      sharedSecret: `shared-${++secrets}`,
      enabled: false,
      status: "NEW_NOT_VERIFIED",
      createdAt: now,
      modifiedAt: now,
      ...values,
    };
    this.hooks.push(hook);
    return hook;
  }

  async updateHook(hook, { enabled }, done, refuse) {
    if (!enabled) Object.assign(hook, { enabled: false, status: "DISABLED_BY_OWNER" });
    else if (hook.status === "DISABLED_APP_REVOKED")
      return refuse(403, 1153, "This webhook cannot be enabled because access was revoked.");
    else if (hook.status === "DISABLED_ADMINISTRATIVE")
      return refuse(403, 1154, "Please contact api@smartsheet.com in order to enable this webhook.");
    else await this.verify(hook);
    return done(hook);
  }

  // While the request that wants it switched on is waiting.
  async verify(hook) {
    const challenge = `challenge-${++nonces}`;
    const echo = await this.callBack(hook, JSON.stringify({ challenge, webhookId: Number(hook.id) }), {
      "Smartsheet-Hook-Challenge": challenge,
    }).catch(() => null);
    const good =
      echo?.status === 200 &&
      (echo.headers.get("smartsheet-hook-response") === challenge ||
        JSON.parse(echo.text).smartsheetHookResponse === challenge);
    Object.assign(hook, {
      enabled: good,
      status: good ? "ENABLED" : "DISABLED_VERIFICATION_FAILED",
      disabledDetails: good ? undefined : "The callback URL did not answer the verification request.",
    });
  }

  // To where the webhook's address leads.
  async callBack(hook, body, headers = {}) {
    if (!this.reach) throw new Error("nobody is there");
    const answer = await fetch(this.reach + new URL(hook.callbackUrl).pathname, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }

  // Tells of rows as that webhook does; one that is not acknowledged is switched off.
  async tell(hook, events, changes) {
    const { body, signature } = callback(events, { webhookId: hook.id, ...changes }, hook.sharedSecret);
    const answer = await this.callBack(hook, body, { "Smartsheet-Hmac-SHA256": signature });
    if (answer.status !== 200) this.switchOff(hook, "DISABLED_CALLBACK_FAILED");
    return answer;
  }

  switchOff(hook, status) {
    Object.assign(hook, { enabled: false, status, disabledDetails: `It is ${status}.` });
  }
}

let secrets = 0;

let nonces = 0;
// The body of a callback about these rows, signed as Smartsheet signs it.
export function callback(events, changes = {}, secret = SECRET) {
  const body = {
    nonce: `nonce-${++nonces}`,
    timestamp: new Date().toISOString().replace("Z", "+00:00"),
    webhookId: 8440000000000001n,
    scope: "sheet",
    scopeObjectId: SHEET,
    events,
    ...changes,
  };
  const said = Object.entries(body).filter(([, value]) => value !== undefined);
  return signed(stringify(Object.fromEntries(said)), secret);
}

export const rowEvent = (row, eventType = "created") => ({
  objectType: "row",
  eventType,
  id: row.id,
  userId: 9007199254740993n,
});
export const cellEvent = (row, spelled = "rowId") => ({
  objectType: "cell",
  eventType: "updated",
  [spelled]: row.id,
  columnId: 7310000000000002n,
});
