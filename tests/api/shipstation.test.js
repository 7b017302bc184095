// ShipStation's own webhooks and the reconciliation with it, against a stand-in.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { pacific, ShipStation } from "../lib/shipstation.js";
import { shipment as direct } from "../lib/webhook.js";

const TOKEN = "a-token-of-the-default-organisation";
const SKU = "TEST-SKU-001";

let app, service;
beforeAll(async () => {
  service = await new ShipStation().start();
  app = new App();
  await app.launch(service.settings);
}, 60_000);
afterAll(async () => {
  await app.finish();
  await service.stop();
}, 60_000);

let batches = 0;
// Sends a V1 payload; shipments are put into a batch of its own.
function notice(changes = {}) {
  return {
    resource_type: "SHIP_NOTIFY",
    resource_url: `${service.url}/shipments?batchId=${++batches}-none`,
    ...changes,
  };
}
const post = (body, { token = TOKEN, headers = {}, query = token === null ? "" : `?token=${token}` } = {}) =>
  app.anonymous.post(
    `/webhooks/shipstation${query}`,
    typeof body === "string" ? body : JSON.stringify(body),
    {
      headers,
    },
  );
async function notify(shipments) {
  const batch = `b${++batches}`;
  for (const one of shipments) one.batchNumber = batch;
  const url = `${service.url}/shipments?batchId=${batch}&includeShipmentItems=False`;
  const answer = await post({ resource_url: url, resource_type: "SHIP_NOTIFY" });
  expect(answer.expect(200).json).toEqual({ status: "ok" });
  return `SHIP_NOTIFY ${url}`;
}
const sync = () => app.server.cli(["jobs", "run", "shipstation_sync"]);
const item = async (stock = 100) => app.item(`SS-${++batches}`, { stock });
const lines = (sku, quantity) => [{ sku, quantity, adjustment: false }];
const state = (delivery) => app.delivery(delivery);
const moved = async (sku, wanted) => eventually(async () => expect(await app.onHand(sku)).toBe(wanted));

describe("C3 V1: refusals in their order", () => {
  test("no proof of any kind: 401", async () => refused(await post("{", { token: null }), 401));
  test("a token beside the direct signature: 400", async () =>
    refused(await post("{", { headers: { "X-ShipStation-Signature": "00" } }), 400));
  test("two tokens: 400", async () =>
    refused(await post("{", { query: `?token=${TOKEN}&token=${TOKEN}` }), 400));
  test("too large: 413 before the token is looked at", async () =>
    refused(await post("x".repeat(66_000), { token: "wrong" }), 413));
  test.each(["wrong", "", "default", TOKEN.toUpperCase(), `default:${TOKEN}`])(
    "the token %j: 403 before the body is read",
    async (token) => refused(await post("{", { token }), 403),
  );
  test("no JSON: 400", async () => refused(await post("{"), 400));
  test.each([
    ["none", { resource_url: undefined }],
    ["a number", { resource_url: 7 }],
    ["another host", { resource_url: "https://evil.example/shipments" }],
    [
      "a host that only begins like it",
      { resource_url: "https://ssapi.shipstation.com.evil.example/shipments" },
    ],
    ["a user in front", { resource_url: "https://ssapi.shipstation.com@evil.example/shipments" }],
    ["plain http", { resource_url: "http://ssapi.shipstation.com/shipments" }],
    ["a port", { resource_url: "https://ssapi.shipstation.com:8443/shipments" }],
    ["loopback", { resource_url: "http://127.0.0.1:1/shipments" }],
    ["metadata", { resource_url: "http://169.254.169.254/shipments" }],
    ["a path that is not ours", { resource_url: "https://ssapi.shipstation.com/accounts/listtags" }],
    ["V2 without its signature", { resource_url: "https://api.shipstation.com/v2/labels?batch_id=se-1" }],
  ])("resource_url is %s: 422", async (_, changes) =>
    refused(await post(notice(changes)), 422, "resource_url"),
  );
  test("no resource_type: 422", async () =>
    refused(await post(notice({ resource_type: undefined })), 422, "resource_type"));
  test.each(["ssapi", "ssapi6", "ssapi13"])("the vendor's host %s is taken", async (host) => {
    const other = await app.other(); // without a key of its own nothing is fetched
    const url = `https://${host}.shipstation.com/orders?importBatch=${++batches}`;
    const body = { resource_url: url, resource_type: "ORDER_NOTIFY" };
    await eventually(async () => (await post(body, { token: "a-token-of-the-other" })).expect(200));
    expect(await app.delivery(`ORDER_NOTIFY ${url}`, other)).toMatchObject({ source: "shipstation-v1" });
  });
});

describe("C3 V1: what a payload leads to", () => {
  test("its shipments leave stock once, fetched with items and credentials", async () => {
    const sku = await item();
    const one = service.shipment({ shipmentItems: lines(sku, 3) });
    const event = await notify([one]);
    await moved(sku, 97);
    expect(await state(event)).toMatchObject({ state: "applied", source: "shipstation-v1" });
    expect(await state(`${one.shipmentId}:shipped`)).toMatchObject({
      state: "applied",
      source: "shipstation",
    });
    const detail = (await app.owner.get(`/api/v1/deliveries/${(await state(event)).id}`)).expect(200).data;
    expect(detail.derived.map(({ event_id }) => event_id)).toEqual([`${one.shipmentId}:shipped`]);
    expect((await state(`${one.shipmentId}:shipped`)).cause_id).toBe(detail.id);
    const asked = service.requests.find(({ query }) => query.get("batchId") === one.batchNumber);
    expect(asked.query.get("includeShipmentItems")).toBe("true");
    expect(asked.query.getAll("includeShipmentItems")).toHaveLength(1);
    const order = (await app.owner.get(`/api/v1/orders?filter[order_id]=${one.orderNumber}`)).expect(200)
      .data[0];
    expect(order).toMatchObject({ channel: "shipstation", status: "SHIPPED" });
  });

  test("the same payload again is known", async () => {
    const body = notice();
    expect((await post(body)).expect(200).json.status).toBe("ok");
    expect((await post(body)).expect(200).json.status).toBe("duplicate");
  });

  test("discounts, items without a SKU, nulls and labels for the way back move nothing", async () => {
    const sku = await item();
    const items = [
      ...lines(sku, 2),
      null,
      { sku: "DISCOUNT", quantity: 1, adjustment: true },
      { sku: null, quantity: 1, adjustment: null },
      { sku: "", quantity: 5 },
      { sku, quantity: 1 },
    ];
    await notify([
      service.shipment({ shipmentItems: items, isReturnLabel: null }),
      service.shipment({ shipmentItems: lines(sku, 50), isReturnLabel: true }),
    ]);
    await moved(sku, 97);
    await app.settled();
    expect(await app.onHand(sku)).toBe(97);
  });

  test("what cannot be taken is kept for a person, and the rest goes on", async () => {
    const sku = await item();
    await notify([
      service.shipment({ shipmentItems: lines("not a sku", 1) }),
      service.shipment({ shipmentItems: [{ sku, quantity: "many" }] }),
      service.shipment({ shipmentItems: [] }),
      service.shipment({ orderNumber: null, orderId: null }),
      service.shipment({ shipmentItems: lines(sku, 4) }),
    ]);
    await moved(sku, 96);
    const kept = await app.owner.all("/api/v1/deliveries?filter[source]=shipstation-record");
    expect(kept.filter((row) => row.state === "exception")).toHaveLength(4);
    const [cause] = new Set(kept.map(({ cause_id }) => cause_id));
    const { derived } = (await app.owner.get(`/api/v1/deliveries/${cause}`)).expect(200).data;
    expect(derived).toHaveLength(5);
    expect(kept.map((row) => row.problem)).toContain("It has no items with a SKU.");
  });

  test("all pages are read, whatever the service says of their number", async () => {
    for (const pages of [(n) => n, () => 1, () => 99, () => null]) {
      service.pages = pages;
      const sku = await item(1000);
      await notify(Array.from({ length: 205 }, () => service.shipment({ shipmentItems: lines(sku, 1) })));
      await moved(sku, 795);
    }
    service.pages = (n) => n;
  });

  test("a token of another organisation cannot use this one's key", async () => {
    const other = await app.other();
    const body = notice();
    await eventually(async () => (await post(body, { token: "a-token-of-the-other" })).expect(200));
    const delivery = await eventually(async () => {
      const rows = await other.all("/api/v1/deliveries?filter[source]=shipstation-v1");
      expect(rows[0]).toMatchObject({ state: "exception" });
      return rows[0];
    });
    expect(delivery.problem).toContain("SHIPSTATION_API_KEY");
  });
});

describe("C3 V1: a service that misbehaves", () => {
  test.each(["429", "500", "html", "half", "cut", "slow", "busy under 200", "no json"])(
    "%s: the shipment is taken all the same",
    async (kind) => {
      const sku = await item();
      service.faults.push({ kind, path: "/shipments" });
      await notify([service.shipment({ shipmentItems: lines(sku, 1) })]);
      await moved(sku, 99);
      expect(service.faults).toEqual([]);
    },
  );

  test("a redirect to a private address is not followed", async () => {
    const sku = await item();
    const elsewhere = await new ShipStation().start();
    service.faults.push({ kind: "redirect", path: "/shipments", location: `${elsewhere.url}/shipments` });
    await notify([service.shipment({ shipmentItems: lines(sku, 1) })]);
    await moved(sku, 99);
    expect(elsewhere.requests).toEqual([]);
    await elsewhere.stop();
  });

  test("the allowance of its headers is kept", async () => {
    const sku = await item();
    Object.assign(service, { limit: 3, window: 2_000, until: 0 });
    const before = service.requests.length;
    const made = Array.from({ length: 6 }, () => [service.shipment({ shipmentItems: lines(sku, 1) })]);
    await Promise.all(made.map(notify));
    await moved(sku, 94);
    Object.assign(service, { limit: Infinity, window: 60_000 });
    // One request more than needed each time several jobs had read the same allowance at once.
    expect(service.requests.length - before).toBeLessThan(12);
  }, 40_000);

  test("wrong credentials are not tried again; the delivery says what is wrong", async () => {
    const spare = await new ShipStation().start();
    const other = new App();
    await other.launch({ ...spare.settings, SHIPSTATION_API_KEY: "wrong" });
    try {
      const url = `${spare.url}/shipments?batchId=1`;
      const body = JSON.stringify({ resource_url: url, resource_type: "SHIP_NOTIFY" });
      (await other.anonymous.post(`/webhooks/shipstation?token=${TOKEN}`, body)).expect(200);
      await other.settled();
      const row = await other.delivery(`SHIP_NOTIFY ${url}`);
      expect(row).toMatchObject({ state: "exception", problem: "ShipStation answered with status 401." });
      expect(spare.requests).toHaveLength(1);
    } finally {
      await other.finish();
      await spare.stop();
    }
  }, 40_000);
});

describe("C3 V2", () => {
  const v2 = (changes = {}) =>
    JSON.stringify({
      resource_type: "LABEL_CREATED_V2",
      resource_url: `${service.url}/v2/labels?batch_id=se-${++batches}`,
      ...changes,
    });
  const send = (body, { headers, ...options } = {}) =>
    post(body, { headers: headers ?? service.sign(body), ...options });
  const known = async (body) =>
    eventually(async () => {
      const answer = await send(body);
      return answer.expect(200);
    });

  test("an unknown key: 503 with Retry-After, and soon it is known", async () => {
    const body = v2();
    const first = await send(body);
    refused(first, 503);
    expect(Number(first.headers["retry-after"])).toBeGreaterThan(0);
    expect((await known(body)).json.status).toBe("ok");
  });

  test.each(["key-id", "signature"])("without the header …-%s: 401", async (name) => {
    const body = v2();
    refused(
      await send(body, { headers: { ...service.sign(body), [`x-shipengine-rsa-sha256-${name}`]: null } }),
      401,
    );
  });
  test("without a timestamp: 401", async () => {
    const body = v2();
    refused(await send(body, { headers: { ...service.sign(body), "x-shipengine-timestamp": null } }), 401);
  });
  test("without a token: 401", async () => refused(await send(v2(), { token: null }), 401));
  test("beside the direct signature: 400", async () => {
    const body = v2();
    refused(await send(body, { headers: { ...service.sign(body), "X-ShipStation-Signature": "00" } }), 400);
  });
  test("with a wrong token: 403, whoever signed it", async () =>
    refused(await send(v2(), { token: "wrong" }), 403));
  test("with another body: 403", async () => refused(await send(v2(), { headers: service.sign(v2()) }), 403));
  test.each(["", "!", "AAAA"])("with the signature %j: 403", async (signature) => {
    const body = v2();
    refused(
      await send(body, {
        headers: { ...service.sign(body), "x-shipengine-rsa-sha256-signature": signature },
      }),
      403,
    );
  });
  test("signed, but no JSON: 400", async () => refused(await send("{"), 400));
  test("signed, but from elsewhere: 422", async () =>
    refused(await send(v2({ resource_url: "https://evil.example/v2/labels" })), 422, "resource_url"));
  test("too old: 403; known and old: duplicate", async () => {
    const old = { timestamp: new Date(Date.now() - 400_000).toISOString() };
    const body = v2();
    expect(refused(await send(body, { headers: service.sign(body, old) }), 403).code).toBe(
      "outside-replay-window",
    );
    await known(body);
    expect((await send(body, { headers: service.sign(body, old) })).expect(200).json.status).toBe(
      "duplicate",
    );
  });
  test.each([(t) => String(Math.floor(t / 1000)), (t) => String(t)])(
    "a timestamp in digits",
    async (write) => {
      const body = v2();
      const headers = service.sign(body, { timestamp: write(Date.now()) });
      expect((await send(body, { headers })).expect(200).json.status).toBe("ok");
    },
  );
  test("base64url without padding verifies as well", async () => {
    const body = v2();
    const headers = service.sign(body);
    const name = "x-shipengine-rsa-sha256-signature";
    headers[name] = headers[name].replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    expect((await send(body, { headers })).expect(200).json.status).toBe("ok");
  });

  const label = (changes) => {
    const number = 800_000 + ++batches;
    const one = {
      label_id: `se-${number}`,
      shipment_id: `se-${number + 1_000_000}`,
      status: "completed",
      voided: false,
      is_return_label: false,
      created_at: new Date().toISOString(),
      batch_id: `se-b${number}`,
      ...changes,
    };
    service.labels.push(one);
    return one;
  };
  const order = (one, sku, quantity) =>
    service.v2_shipments.push({
      shipment_id: one.shipment_id,
      shipment_number: `OP-${one.label_id.slice(3)}`,
      items: [
        { sku, quantity },
        { sku: null, quantity: 1 },
      ],
    });
  const tell = async (one) =>
    known(v2({ resource_url: `${service.url}/v2/labels?batch_id=${one.batch_id}` }));

  test("a label moves what its order says, under V1's id", async () => {
    const sku = await item();
    const one = label();
    order(one, sku, 5);
    await tell(one);
    await moved(sku, 95);
    expect(await state(`${one.label_id.slice(3)}:shipped`)).toMatchObject({ state: "applied" });
  });

  test("with several labels of one order it is left to a person or to V1", async () => {
    const sku = await item();
    const one = label();
    label({ shipment_id: one.shipment_id, batch_id: "se-another" });
    order(one, sku, 5);
    await tell(one);
    await app.settled();
    expect(await app.onHand(sku)).toBe(100);
  });

  test("W8 V1, V2, sync, direct form: one shipment leaves once, its void brings it back", async () => {
    const sku = await item();
    const one = label();
    const number = Number(one.label_id.slice(3));
    order(one, sku, 7);
    const v1 = service.shipment({
      shipmentId: number,
      orderNumber: `OP-${number}`,
      shipmentItems: lines(sku, 7),
    });
    const event = direct({
      shipmentId: number,
      orderId: `OP-${number}`,
      channel: "woot",
      items: [{ sku, quantity: 7 }],
    });
    await Promise.all([tell(one), notify([v1]), app.hook(event), sync()]);
    await moved(sku, 93);
    await app.settled();
    expect(await sync()).toMatchObject({ status: 0 });
    await app.settled();
    expect(await app.onHand(sku)).toBe(93);
    expect((await app.moves(sku)).filter(({ to }) => to === "customer")).toHaveLength(1);
    Object.assign(v1, { voided: true, voidDate: pacific(Date.now()) });
    expect(await sync()).toMatchObject({ status: 0 });
    await moved(sku, 100);
    expect(await sync()).toMatchObject({ status: 0 });
    await app.settled();
    expect(await app.onHand(sku)).toBe(100);
  });
});

describe("W8 shipstation_sync", () => {
  const gaps = async () =>
    (await app.owner.all("/api/v1/deliveries")).filter(({ event_id }) => event_id.startsWith("GAP "));

  test("what was missed for a day is made good by one run, and a second changes nothing", async () => {
    const spare = await new ShipStation().start();
    const away = new App();
    await away.launch(spare.settings);
    try {
      const run = () => away.server.cli(["jobs", "run", "shipstation_sync"]);
      const sku = await away.item("MISSED", { stock: 2000 });
      const day = 24 * 3_600_000;
      for (let i = 0; i < 600; i++)
        spare.shipment({
          shipmentItems: lines(sku, 1),
          createDate: pacific(Date.now() - day + (i * day) / 700),
          ...(i % 100 === 99 && { voided: true, voidDate: pacific(Date.now()) }),
        });
      expect(await run()).toMatchObject({ status: 0 });
      await away.settled();
      expect(await away.onHand(sku)).toBe(2000 - 594);
      const before = spare.requests.length;
      expect(await run()).toMatchObject({ status: 0 });
      await away.settled();
      expect(await away.onHand(sku)).toBe(2000 - 594);
      const [asked] = spare.requests.slice(before);
      // From where the first run had come, less the overlap.
      expect(asked.query.get("createDateStart") > pacific(Date.now() - 4 * 3_600_000).replace("T", " ")).toBe(
        true,
      );
      // By hand, from any time on.
      const all = JSON.stringify({ since: new Date(Date.now() - 2 * day).toISOString() });
      const again = await away.server.cli(["jobs", "run", "shipstation_sync", "--args", all]);
      expect(again).toMatchObject({ status: 0 });
      await away.settled();
      expect(await away.onHand(sku)).toBe(2000 - 594);
    } finally {
      await away.finish();
      await spare.stop();
    }
  }, 60_000);

  test("an order marked as shipped without a label leaves by its order's items", async () => {
    const sku = await item();
    const one = {
      fulfillmentId: ++batches + 70_000,
      orderId: ++batches + 60_000,
      createDate: pacific(Date.now()),
    };
    Object.assign(one, { orderNumber: `F-${one.orderId}`, voided: false, voidDate: null });
    service.fulfillments.push(one);
    service.orders.push({
      orderId: one.orderId,
      orderNumber: one.orderNumber,
      items: [...lines(sku, 2), { sku: "DISCOUNT", quantity: 1, adjustment: true }],
    });
    expect(await sync()).toMatchObject({ status: 0 });
    await moved(sku, 98);
    const asked = () => service.requests.filter(({ path }) => path === `/orders/${one.orderId}`).length;
    expect(asked()).toBe(1);
    expect(await sync()).toMatchObject({ status: 0 });
    expect(asked()).toBe(1);
    Object.assign(one, { voided: true, voidDate: pacific(Date.now()) });
    expect(await sync()).toMatchObject({ status: 0 });
    await moved(sku, 100);
  });

  test("a run that fails says so, and the next one goes on", async () => {
    const sku = await item();
    service.shipment({ shipmentItems: lines(sku, 1), createDate: pacific(Date.now()) });
    for (let i = 0; i < 4; i++) service.faults.push({ kind: "cut", path: "/shipments" });
    expect(await sync()).toMatchObject({ status: 1 });
    expect(await app.onHand(sku)).toBe(100);
    service.broken = () => true; // all it answers is 500: nothing is passed over
    expect(await sync()).toMatchObject({ status: 1 });
    service.broken = () => false;
    expect(await gaps()).toEqual([]);
    expect(await sync()).toMatchObject({ status: 0 });
    await moved(sku, 99);
  }, 60_000);

  test("a record that no page can hold is passed over, for a person, until it is good", async () => {
    const sku = await item(1000);
    const at = (i) => pacific(Date.now() - 60_000 + i * 100);
    const make = (_, i) => service.shipment({ shipmentItems: lines(sku, 1), createDate: at(i) });
    const made = Array.from({ length: 60 }, make);
    const bad = [made[0], made[37], made[59]];
    service.broken = (row) => bad.includes(row);
    const before = service.requests.length;
    expect(await sync()).toMatchObject({ status: 0 });
    await app.settled();
    expect(await app.onHand(sku)).toBe(1000 - 57);
    expect(service.requests.length - before).toBeLessThan(120);
    const found = await gaps();
    expect(found).toHaveLength(3);
    for (const { problem, source } of found) {
      expect(source).toBe("shipstation-v1");
      expect(problem).toMatch(/status 500 for the shipment after \d+, .*: page \d+ .*createDateStart=/);
    }
    const after = `GAP shipment after ${made[36].shipmentId}`;
    expect(found.map(({ event_id }) => event_id)).toContain(after);
    const open = await app.owner.all("/api/v1/catalog/exceptions?filter[state]=open");
    expect(open.map(({ delivery_id }) => delivery_id)).toEqual(
      expect.arrayContaining(found.map(({ id }) => id)),
    );
    // Again: nothing new, and nothing twice.
    expect(await sync()).toMatchObject({ status: 0 });
    await app.settled();
    expect(await app.onHand(sku)).toBe(1000 - 57);
    expect(await gaps()).toHaveLength(3);
    // Still bad when it is replayed: it stays. Then it is good.
    const { id } = found.find(({ event_id }) => event_id === after);
    (await app.owner.post(`/api/v1/deliveries/${id}/replay`)).expect(200);
    await eventually(async () => expect((await state(after)).state).toBe("exception"), { within: 30_000 });
    const exception = `/api/v1/catalog/exceptions/${id}`;
    expect((await app.owner.get(exception)).expect(200).data.state).toBe("open");
    service.broken = () => false;
    (await app.owner.post(`${exception}/replay`)).expect(201);
    expect((await app.owner.get(exception)).expect(200).data.state).toBe("resolved");
    await moved(sku, 1000 - 60);
    await eventually(async () => expect((await state(after)).state).toBe("applied"));
  }, 120_000);

  test("without credentials it says what to set", async () => {
    const result = await app.server.cli(["jobs", "run", "shipstation_sync", "--org", "other-company"]);
    expect(result.status).not.toBe(0);
    expect(result.stderr).toContain("SHIPSTATION_API_KEY");
  });
});
