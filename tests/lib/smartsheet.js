// A stand-in for Smartsheet's API 2.0, as far as sheets are read, that misbehaves on demand.
import { createServer } from "node:http";
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
}

let nonces = 0;
// The body of a callback about these rows, signed as Smartsheet signs it.
export function callback(events, changes = {}) {
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
  return signed(stringify(Object.fromEntries(said)), SECRET);
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
