// What came in, what became of it, and applying it again: the list, one delivery, its bytes, replay.
import { describe, expect, test } from "vitest";
import { App, useApp } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { SECRETS } from "../lib/server.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const DELIVERIES = "/api/v1/deliveries";
const show = async (id) => (await app.owner.get(`${DELIVERIES}/${id}`)).expect(200).data;
const replay = (id, client = app.owner) => client.post(`${DELIVERIES}/${id}/replay`);

// Sends an event and waits for what becomes of it.
async function taken(changes = {}, options = {}) {
  const event = shipment(changes);
  (await app.hook(event, options)).expect(200);
  return { event, delivery: await app.delivery(`${event.shipmentId}:${event.status}`) };
}

async function again(id) {
  (await replay(id)).expect(200);
  await app.settled();
  return show(id);
}

describe("C4 one delivery", () => {
  test("shows its bytes, how it was proven, and the moves and the order that it led to", async () => {
    const sku = await app.item(fresh("D"), { stock: 5 });
    const event = shipment({ items: [{ sku, quantity: 2 }], note: "ü ☃" });
    (await app.hook(event, { secret: SECRETS.second, headers: { "user-agent": "shop/1.0" } })).expect(200);
    const { id } = await app.delivery(`${event.shipmentId}:shipped`);
    const delivery = await show(id);
    expect(delivery).toMatchObject({
      source: "shipstation",
      state: "applied",
      problem: null,
      verdict: { scheme: "hmac-sha256", secret: 2 },
      body: JSON.stringify(event),
      body_size: Buffer.byteLength(JSON.stringify(event)),
      moves: [{ sku, quantity: 2, from: "warehouse", to: "customer" }],
      orders: [{ channel: "woot", order_id: event.orderId, status: "SHIPPED", shipment: event.shipmentId }],
      jobs: [],
      derived: [],
    });
    const names = delivery.headers.map(({ name }) => name.toLowerCase());
    expect(names).toEqual(expect.arrayContaining(["x-shipstation-signature", "user-agent"]));
    expect(JSON.stringify(delivery)).not.toContain(SECRETS.second);
  });

  test("its bytes are to be had exactly as they came, for no browser to guess at", async () => {
    const { id, body } = await (async () => {
      const event = shipment();
      const body = `\n${JSON.stringify(event)}\r\n \t`;
      (await app.hook(body)).expect(200);
      return { body, id: (await app.delivery(`${event.shipmentId}:shipped`)).id };
    })();
    const raw = (await app.owner.get(`${DELIVERIES}/${id}/raw`, { checked: false })).expect(200);
    expect(raw.text).toBe(body);
    expect(raw.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="delivery-${id}.bin"`,
      "x-content-type-options": "nosniff",
    });
  });

  test("that contradicts another names it, and is never applied", async () => {
    const sku = await app.item(fresh("D"), { stock: 9 });
    const { event, delivery } = await taken({ items: [{ sku, quantity: 1 }] });
    (await app.hook({ ...event, items: [{ sku, quantity: 3 }] })).expect(200);
    const rows = await app.owner.all(`${DELIVERIES}?filter[state]=exception`);
    const other = rows.find((row) => row.conflicts_with === delivery.id);
    expect(other).toMatchObject({ state: "exception" });
    refused(await replay(other.id), 409);
    expect(await app.onHand(sku)).toBe(8);
  });

  test("is not there for others", async () => {
    const { delivery } = await taken();
    const other = await app.other();
    for (const path of ["", "/raw"]) refused(await other.get(`${DELIVERIES}/${delivery.id}${path}`), 404);
    refused(await replay(delivery.id, other), 404);
    refused(await app.owner.get(`${DELIVERIES}/not-an-id`), 404);
    refused(await replay(delivery.id, await app.as("clerk")), 403);
    refused(await (await app.as("viewer")).get(`${DELIVERIES}/${delivery.id}`), 403);
    (await (await app.as("clerk")).get(`${DELIVERIES}/${delivery.id}`)).expect(200);
  });
});

describe("C4 the list", () => {
  test("filters by state, source and time, newest first, each once", async () => {
    const before = new Date(Date.now() - 1).toISOString();
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await taken()).delivery.id);
    const end = new Date(Date.now() + 5).toISOString();
    await eventually(async () => expect(Date.now()).toBeGreaterThan(Date.parse(end)));
    const { delivery: later } = await taken({ items: [{ sku: fresh("NOWHERE"), quantity: 1 }] });
    const list = (query) => app.owner.all(`${DELIVERIES}?filter[received_at][gte]=${before}&${query}`);
    const inside = (await list(`filter[received_at][lt]=${end}`)).map(({ id }) => id);
    expect(inside).toEqual(ids.toReversed());
    expect((await list("filter[state]=exception")).map(({ id }) => id)).toEqual([later.id]);
    expect(await list("filter[source]=smartsheet")).toEqual([]);
    expect((await list("filter[source]=shipstation&filter[state]=applied")).length).toBe(5);
    expect(Object.keys(later)).not.toContain("body");
  });

  test.each([
    "filter[state]=lost",
    "filter[received_at][gte]=yesterday",
    "filter[received_at]=x",
    "filter[body]=x",
  ])("refuses %s", async (query) => refused(await app.owner.get(`${DELIVERIES}?${query}`), 422));
});

describe("C4 replay", () => {
  test("of an event of every status moves nothing twice, and none stays pending", async () => {
    const sku = await app.item(fresh("R"), { stock: 20 });
    const items = [{ sku, quantity: 3 }];
    const known = [];
    const send = async (shipmentId, orderId, status) =>
      known.push((await taken({ shipmentId, orderId, status, items })).delivery.id);
    const [a, b, c, o] = ["A", "B", "C", "O"].map((name) => fresh(name));
    for (const status of ["awaiting_shipment", "shipped", "returned"]) await send(a, o, status);
    for (const status of ["shipped", "voided"]) await send(b, o, status);
    for (const status of ["awaiting_shipment", "cancelled"]) await send(c, o, status);
    const level = await app.level(sku);
    const moves = await app.moves(sku);
    const states = async () => Promise.all(known.map(async (id) => (await show(id)).state));
    const before = await states();
    for (const id of [...known, ...known.toReversed()]) expect((await again(id)).jobs).toEqual([]);
    expect(await app.level(sku)).toEqual(level);
    expect(await app.moves(sku)).toEqual(moves);
    expect(await states()).toEqual(before);
  });

  test("a hundred at once move nothing twice", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const { delivery } = await taken({ items: [{ sku, quantity: 2 }] });
    const answers = await Promise.all(Array.from({ length: 100 }, () => replay(delivery.id)));
    for (const answer of answers) answer.expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(3);
    expect(await app.moves(sku)).toHaveLength(2);
  });

  test("of what waited for an item applies it once the item is there", async () => {
    const sku = fresh("LATE");
    const { delivery } = await taken({ items: [{ sku, quantity: 1 }] });
    expect(delivery.state).toBe("exception");
    expect(await again(delivery.id)).toMatchObject({ state: "exception", moves: [] });
    await app.item(sku, { stock: 4 });
    expect(await again(delivery.id)).toMatchObject({ state: "applied", moves: [{ sku, quantity: 1 }] });
    expect(await app.onHand(sku)).toBe(3);
  });

  test("of one whose queue is paused leaves it to the queue", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const event = shipment({ items: [{ sku, quantity: 2 }] });
    const queue = "/api/v1/queues/default";
    (await app.owner.post(`${queue}/pause`)).expect(200);
    (await app.hook(event)).expect(200);
    const [{ id }] = await app.owner.all(`${DELIVERIES}?filter[state]=pending`);
    await eventually(async () => {
      const [job] = (await app.owner.get(`${DELIVERIES}/${id}`)).expect(200).data.jobs;
      expect(job.state).toBe("paused");
    });
    (await app.owner.post(`${DELIVERIES}/${id}/replay`)).expect(200);
    (await app.owner.post(`${queue}/resume`)).expect(200);
    await app.settled();
    expect(await app.onHand(sku)).toBe(3);
    expect(await app.moves(sku)).toHaveLength(2);
  });

  test("of a range counts first, then runs as a job, and moves nothing twice", async () => {
    const sku = await app.item(fresh("R"), { stock: 400 });
    const from = new Date(Date.now() - 1).toISOString();
    const count = 230; // more than one piece of the job
    const events = Array.from({ length: count }, () => shipment({ items: [{ sku, quantity: 1 }] }));
    await Promise.all(events.map(async (event) => (await app.hook(event)).expect(200)));
    await app.settled();
    const range = { from, source: "shipstation", state: "applied" };
    const preview = (await app.owner.post(`${DELIVERIES}/replay`, { ...range, preview: true })).expect(200);
    expect(preview.data).toEqual({ count, more: false, job_id: null });
    const { data } = (await app.owner.post(`${DELIVERIES}/replay`, range)).expect(200);
    expect(data).toEqual({ count, more: false, job_id: expect.any(String) });
    await eventually(async () =>
      expect((await app.owner.get(`/api/v1/jobs/${data.job_id}`)).expect(200).data.state).toBe("done"),
    );
    await app.settled();
    expect(await app.onHand(sku)).toBe(400 - count);
    expect(await app.moves(sku)).toHaveLength(count + 1);
  });

  test.each([
    ["from", { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" }],
    ["state", { state: "lost" }],
    ["colour", { colour: "red" }],
  ])("refuses a range with a wrong %s", async (field, range) => {
    refused(await app.owner.post(`${DELIVERIES}/replay`, range), 422, field);
  });

  test("a range that holds nothing leaves no job", async () => {
    const range = { to: "2020-01-01T00:00:00Z" };
    const { data } = (await app.owner.post(`${DELIVERIES}/replay`, range)).expect(200);
    expect(data).toEqual({ count: 0, more: false, job_id: null });
  });
});

describe("C4 the administrator's commands", () => {
  test("list, show and replay beside the running server", async () => {
    const { event, delivery } = await taken();
    const listed = await app.server.command("deliveries", "list", "--source", "shipstation");
    expect(listed).toContain(`${delivery.id}  ${delivery.received_at}`);
    const shown = await app.server.command("deliveries", "show", delivery.id);
    expect(shown).toContain("warehouse → customer");
    expect(shown).toContain(JSON.stringify(event));
    expect(await app.server.command("deliveries", "replay", delivery.id)).toBe("It is applied again.\n");
    expect(await app.server.command("deliveries", "replay", "--state", "applied", "--preview")).toMatch(
      /^\d+ deliveries\.\n$/,
    );
    expect(await app.server.cli(["deliveries", "replay"])).toMatchObject({ status: 2 });
    expect(await app.server.cli(["deliveries", "show", "x"])).toMatchObject({ status: 2 });
    const absent = "00000000-0000-7000-8000-000000000000";
    expect(await app.server.cli(["deliveries", "show", absent])).toMatchObject({ status: 1 });
    const args = ["jobs", "run", "inbox.apply", "--args", JSON.stringify({ id: absent })];
    const run = await app.server.cli(args);
    expect(run).toMatchObject({ status: 1 });
    expect(run.stderr).toContain("no delivery");
  });
});

test("X8 the bytes of what was applied long ago are dropped; what it led to stays", async () => {
  const clock = new Clock();
  const old = new App();
  try {
    await old.launch({ ...clock.settings, DELIVERY_BODY_DAYS: "30" });
    const sku = await old.item("OLD", { stock: 1000 });
    const crowd = Array.from({ length: 430 }, () => shipment({ items: [{ sku, quantity: 1 }] }));
    await Promise.all(crowd.map(async (one) => (await old.hook(one)).expect(200)));
    const event = shipment({ items: [{ sku, quantity: 2 }] });
    (await old.hook(event)).expect(200);
    const { id } = await old.delivery(`${event.shipmentId}:shipped`);
    const of = async () => (await old.owner.get(`${DELIVERIES}/${id}`)).expect(200).data;
    await old.server.command("jobs", "run", "inbox.forget");
    expect(await of()).toMatchObject({ body: JSON.stringify(event), forgotten_at: null });
    const month = 31 * 24 * 3600;
    await clock.show(old, clock.in(month));
    const young = shipment({ items: [{ sku, quantity: 1 }], timestamp: clock.in(0) });
    (await old.hook(young)).expect(200);
    await old.settled();
    for (let i = 0; i < 2; i++) await old.server.command("jobs", "run", "inbox.forget");
    expect(await of()).toMatchObject({ body: null, body_size: 0, forgotten_at: expect.any(String) });
    const sizes = (await old.owner.all(DELIVERIES)).map(({ body_size }) => body_size);
    expect(sizes.length).toBe(432);
    expect(sizes.filter((size) => size > 0)).toEqual([JSON.stringify(young).length]);
    expect((await of()).moves).toMatchObject([{ sku, quantity: 2 }]);
    refused(await old.owner.get(`${DELIVERIES}/${id}/raw`), 404);
    refused(await old.owner.post(`${DELIVERIES}/${id}/replay`), 409);
  } finally {
    await old.finish();
  }
}, 60_000);

test("X6 what is refused before it is kept is counted", async () => {
  const count = async () => {
    const { text } = await app.anonymous.get("/metrics");
    return Number(/^entrepot_webhook_refused_total\{code="bad-signature"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const before = await count();
  refused(await app.hook(shipment(), { secret: "wrong" }), 403);
  expect(await count()).toBe(before + 1);
});
