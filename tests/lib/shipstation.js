// A stand-in for ShipStation, V1 and V2 and the vendor's key set, on loopback: answers from what a test puts
// into it, in the shapes of the published descriptions, and misbehaves on demand.
import { createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

const MINUTE = 60_000;

// "2026-11-20T01:02:03.0000000", US Pacific without an offset, as V1 writes it.
export function pacific(date) {
  const text = new Date(date).toLocaleString("sv-SE", { timeZone: "America/Los_Angeles" });
  return `${text.replace(" ", "T")}.0000000`;
}

export class ShipStation {
  shipments = []; // V1's: labels
  fulfillments = [];
  orders = []; // {orderId, orderNumber, items}; with importBatch and modifyDate where they are listed
  labels = []; // V2's, and its shipments
  v2_shipments = [];
  faults = []; // each is used once, for the next request that matches
  requests = [];
  delay = 0; // ms before a page is answered
  limit = Infinity; // requests a window
  window = MINUTE;
  pages = (n) => n; // what it says of how many pages there are
  broken = () => false; // a record that makes every page with it a 500
  keys = [];

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    this.newKey("key-1");
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  get settings() {
    return {
      SHIPSTATION_BASE_URL: this.url,
      SHIPSTATION_API_KEY: "v1-key",
      SHIPSTATION_API_SECRET: "v1-secret",
      SHIPSTATION_V2_API_KEY: "v2-key",
      SHIPSTATION_WEBHOOK_TOKENS:
        "default:a-token-of-the-default-organisation,other-company:a-token-of-the-other",
      SHIPSTATION_TIMEOUT: "1",
    };
  }

  newKey(kid) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { n, e } = publicKey.export({ format: "jwk" });
    this.keys.push({ kid, privateKey, jwk: { kty: "RSA", kid, n, e, use: "sig", alg: "RS256" } });
  }

  // The headers of a V2 delivery.
  sign(body, { kid = "key-1", timestamp = new Date().toISOString().replace(/\.\d+/, "") } = {}) {
    const key = this.keys.find((one) => one.kid === kid) ?? this.keys[0];
    const signature = createSign("RSA-SHA256").update(`${timestamp}.${body}`).sign(key.privateKey, "base64");
    return {
      "x-shipengine-rsa-sha256-key-id": kid,
      "x-shipengine-rsa-sha256-signature": signature,
      "x-shipengine-timestamp": timestamp,
    };
  }

  shipment(changes = {}) {
    const shipmentId = changes.shipmentId ?? 900_000 + this.shipments.length;
    const made = {
      shipmentId,
      orderId: shipmentId + 5_000_000,
      orderNumber: `OP-${shipmentId}`,
      orderKey: `op:${shipmentId}`,
      createDate: pacific(Date.now() - 5 * MINUTE),
      shipDate: pacific(Date.now()).slice(0, 10),
      isReturnLabel: false,
      voided: false,
      voidDate: null,
      labelData: null,
      labelMessages: null,
      batchNumber: "100",
      shipmentItems: [{ orderItemId: 1, sku: "TEST-SKU-001", name: "x", quantity: 1, adjustment: false }],
      ...changes,
    };
    this.shipments.push(made);
    return made;
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    this.requests.push({ path: url.pathname, query: url.searchParams, headers: request.headers });
    const fault = this.faults.findIndex(({ path = "" }) => url.pathname.startsWith(path));
    if (fault >= 0) return this.misbehave(this.faults.splice(fault, 1)[0], response, url);
    if (url.pathname === "/jwks") return this.json(response, 200, { keys: this.keys.map(({ jwk }) => jwk) });
    const good = url.pathname.startsWith("/v2/")
      ? request.headers["api-key"] === "v2-key"
      : request.headers.authorization === `Basic ${Buffer.from("v1-key:v1-secret").toString("base64")}`;
    if (!good) return this.json(response, 401, { message: "Unauthorized" });
    if (!this.allowed()) return this.json(response, 429, { message: "Too Many Requests" });
    return this.serve(url, response);
  }

  allowed() {
    const now = Date.now();
    if (!this.until || now >= this.until) [this.until, this.used] = [now + this.window, 0];
    this.used++;
    return this.used <= this.limit;
  }

  serve(url, response) {
    const [, first, second] = url.pathname.match(/^\/(v2\/[a-z]+|[a-z]+)(?:\/(.+))?$/) ?? [];
    if (first === "orders" && second)
      return this.one(
        response,
        this.orders.find(({ orderId }) => String(orderId) === second),
      );
    if (first === "v2/shipments" && second)
      return this.one(
        response,
        this.v2_shipments.find(({ shipment_id }) => shipment_id === second),
      );
    if (first === "orders") return this.page(url, response, "orders", this.v1Orders(url.searchParams));
    if (first === "v2/shipments")
      return this.page(url, response, "shipments", this.v2Orders(url.searchParams));
    if (first === "v2/fulfillments") return this.page(url, response, "fulfillments", []);
    if (first === "shipments")
      return this.page(url, response, "shipments", this.v1Shipments(url.searchParams));
    if (first === "fulfillments")
      return this.page(url, response, "fulfillments", this.since(this.fulfillments, url.searchParams));
    if (first === "v2/labels") return this.page(url, response, "labels", this.v2Labels(url.searchParams));
    return this.json(response, 404, { message: "Not Found" });
  }

  one(response, found) {
    return found ? this.json(response, 200, found) : this.json(response, 404, { message: "Not Found" });
  }

  // Bare times of a query are Pacific, as those of the records.
  since(rows, query) {
    const after = (name, field) => (row) => {
      const from = query.get(name)?.replace(" ", "T");
      return !from || (row[field] !== null && row[field] >= from);
    };
    return rows
      .filter(after("createDateStart", "createDate"))
      .filter(after("voidDateStart", "voidDate"))
      .sort((a, b) => (a.createDate < b.createDate ? -1 : 1));
  }

  v1Shipments(query) {
    const batch = query.get("batchId");
    const rows = this.since(this.shipments, query).filter((row) => !batch || row.batchNumber === batch);
    if (query.get("includeShipmentItems")?.toLowerCase() === "true") return rows;
    return rows.map((row) => ({ ...row, shipmentItems: null }));
  }

  // Those of a webhook, or all that were changed since.
  v1Orders(query) {
    const batch = query.get("importBatch");
    const from = query.get("modifyDateStart")?.replace(" ", "T");
    return this.orders.filter((row) => (batch ? row.importBatch === batch : row.modifyDate >= from));
  }

  v2Orders(query) {
    const batch = query.get("import_batch_id");
    const from = query.get("modified_at_start");
    const wanted = (row) => (batch ? row.import_batch_id === batch : row.modified_at >= from);
    return this.v2_shipments.filter(wanted);
  }

  v2Labels(query) {
    const is = (name) => (row) => !query.get(name) || row[name] === query.get(name);
    return this.labels
      .filter(is("batch_id"))
      .filter(is("shipment_id"))
      .filter((row) => query.get("label_status") !== "voided" || row.voided)
      .filter((row) => row.created_at >= (query.get("created_at_start") ?? ""));
  }

  page(url, response, name, rows) {
    const size = Number(url.searchParams.get("pageSize") ?? url.searchParams.get("page_size") ?? 100);
    const page = Number(url.searchParams.get("page") ?? 1);
    const records = rows.slice((page - 1) * size, page * size);
    if (records.some(this.broken)) return this.misbehave({ kind: "500" }, response);
    const body = {
      [name]: records,
      total: rows.length,
      page,
      pages: this.pages(Math.ceil(rows.length / size)),
    };
    return setTimeout(() => this.json(response, 200, body), this.delay);
  }

  json(response, status, body) {
    const left = Math.max(0, this.limit === Infinity ? 39 : this.limit - (this.used ?? 0));
    response.writeHead(status, {
      "content-type": "application/json; charset=utf-8",
      "X-Rate-Limit-Limit": this.limit === Infinity ? 40 : this.limit,
      "X-Rate-Limit-Remaining": left,
      "X-Rate-Limit-Reset": Math.max(0, Math.ceil(((this.until ?? 0) - Date.now()) / 1000)),
    });
    response.end(JSON.stringify(body));
  }

  misbehave({ kind, location }, response) {
    const type = { "content-type": "application/json" };
    if (kind === "slow") return setTimeout(() => response.destroy(), 3_000);
    if (kind === "cut") return response.destroy();
    if (kind === "half") {
      response.writeHead(200, { ...type, "content-length": 4000 });
      return response.write('{"shipments":[{"shipmentId":1,', () => response.destroy());
    }
    const [status, headers, body] = {
      429: [
        429,
        { ...type, "X-Rate-Limit-Remaining": 0, "X-Rate-Limit-Reset": 1 },
        '{"message":"Too Many Requests"}',
      ],
      500: [500, type, '{"Message":"An error has occurred.","ExceptionType":"x"}'],
      html: [200, { "content-type": "text/html" }, "<html>maintenance</html>"],
      "busy under 200": [200, type, '{"message":"Too Many Requests"}'],
      "no json": [200, type, '{"shipments":['],
      redirect: [302, { location }, ""],
    }[kind];
    response.writeHead(status, headers).end(body);
  }
}
