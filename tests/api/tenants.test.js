// C1: nothing of one organisation is visible to another, or changed by it, through any route.
import { beforeAll, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { form } from "../lib/form.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const MARK = "OF-THE-FIRST";
const ABSENT_ID = "00000000-0000-7000-8000-000000000000";
let mine, other;

// One of everything in the first organisation: what the {…} of each path stands for there.
beforeAll(async () => {
  other = await app.other();
  const sku = await app.item(`SKU-${MARK}`, { stock: 9 });
  const place = `place-${MARK}`;
  (await app.owner.post("/api/v1/places", { code: place, kind: "box", name: MARK })).expect(201);
  const move = {
    sku,
    quantity: 1,
    from: "warehouse",
    to: place,
    reason: MARK,
    source: "dock",
    source_ref: MARK,
  };
  const moved = (await app.owner.post("/api/v1/stock/moves", move)).expect(201).data.id;
  const count = (await app.owner.post("/api/v1/counts", { place })).expect(201).data.id;
  const store_code = `STORE-${MARK}`;
  (await app.owner.post("/api/v1/stores", { store_code, store_name: MARK, etl_flag: true })).expect(201);
  const feeds = (await app.owner.post("/api/v1/feeds/runs", { date: "2026-01-01" })).expect(201).data.id;
  const held = (await app.owner.post("/api/v1/stock/reservations", { sku, quantity: 1 })).expect(201).data.id;
  const user = {
    email: `${MARK.toLowerCase()}@example.com`,
    role: "clerk",
    password: "a password that is good",
  };
  const { id: userId } = (await app.owner.post("/api/v1/users", user)).expect(201).data;
  refused(await app.owner.post("/api/v1/catalog/ingest", { sku: `BAD-${MARK}`, quantity: -1 }), 422);
  const event = shipment({ shipmentId: MARK, orderId: `O-${MARK}`, items: [{ sku, quantity: 1 }] });
  (await app.hook(event)).expect(200);
  await app.settled();
  // When a secret was last used is written behind the delivery: it is not to come between two looks.
  await eventually(async () => {
    const secrets = (await app.owner.get("/api/v1/webhooks/secrets")).expect(200).data;
    expect(secrets.some(({ last_used_at }) => last_used_at)).toBe(true);
  });
  const first = async (path) => (await app.owner.get(path)).expect(200).data[0].id;
  const exception = await first("/api/v1/catalog/exceptions");
  const run = { action: "replay", text: MARK };
  const begun = (await app.owner.post("/api/v1/catalog/exceptions/runs", run)).expect(201).data;
  const file = form(`sku,quantity\n${MARK}-UP,1\n`);
  const sent = await app.owner.post("/api/v1/catalog/uploads", file.body, { headers: file.headers });
  const upload = sent.expect(201).data.id;
  // Nothing is to go on by itself any more when it is looked at twice.
  await eventually(async () => {
    const now = await app.owner.get(`/api/v1/catalog/exceptions/runs/${begun.id}`);
    expect(now.expect(200).data.state).toBe("done");
  });
  await eventually(async () => {
    const run = (await app.owner.get(`/api/v1/feeds/runs/${feeds}`)).expect(200).data;
    expect(run.finished_at).not.toBeNull();
    const jobs = (await app.owner.get("/api/v1/jobs?name=feeds_run")).expect(200).data;
    expect(jobs.map(({ state }) => state)).toEqual(["done"]);
  });
  mine = {
    "/api/v1/feeds/runs/{id}": feeds,
    "/api/v1/catalog/{sku}": sku,
    "/api/v1/places/{code}": place,
    "/api/v1/users/{id}": userId,
    "/api/v1/stores/{store_code}": store_code,
    "/api/v1/webhooks/smartsheet/{sheet}": "3280000000000001",
    "/api/v1/catalog/exceptions/{id}": exception,
    "/api/v1/catalog/exceptions/{id}/replay": exception,
    "/api/v1/catalog/exceptions/{id}/dismiss": exception,
    "/api/v1/catalog/exceptions/runs/{id}": await first("/api/v1/catalog/exceptions/runs"),
    "/api/v1/catalog/uploads/{id}": upload,
    "/api/v1/catalog/uploads/{id}/apply": upload,
    "/api/v1/deliveries/{id}": await first("/api/v1/deliveries"),
    "/api/v1/counts/{id}": count,
    "/api/v1/stock/moves/{id}/reverse": moved,
    "/api/v1/stock/reservations/{id}": held,
    "/api/v1/orders/{id}": await first("/api/v1/orders"),
    "/api/v1/jobs/{id}": (await app.owner.get("/api/v1/jobs")).expect(200).data[0]?.id ?? ABSENT_ID,
  };
});

// Queues and schedules have the same names everywhere; what an organisation says of them is its own, which
// everything() shows.
const OF_ALL = /^\/api\/v1\/(queues|schedules)\/\{name\}/;

const BODIES = {
  "post /api/v1/counts/{id}/lines": { lines: [{ sku: "STOLEN", quantity: 1 }] },
  "patch /api/v1/catalog/{sku}": { name: "stolen" },
  "patch /api/v1/places/{code}": { name: "stolen" },
  "patch /api/v1/stores/{store_code}": { store_name: "stolen" },
  "patch /api/v1/users/{id}": { role: "viewer" },
  "patch /api/v1/catalog/exceptions/{id}": { quantity: 1 },
  "post /api/v1/catalog/exceptions/{id}/dismiss": { reason: "stolen" },
  "post /api/v1/catalog/exceptions/{id}/replay": { sku: "STOLEN", quantity: 1 },
};

// All that the first organisation can see, to be compared before and after.
async function everything(client) {
  const lists = app.contract
    .operations()
    .filter(
      ({ method, path, operation }) =>
        method === "get" &&
        path.startsWith("/api/v1/") &&
        operation.parameters?.some(({ name }) => name === "page_size") &&
        !operation.parameters.some(({ required }) => required) &&
        !path.includes("{") &&
        !path.startsWith("/api/v1/auth/"),
    );
  const texts = {};
  for (const { path } of lists) texts[path] = JSON.stringify(await client.all(path));
  return texts;
}

const withoutIds = (answer, id) =>
  answer.text.replaceAll(answer.headers["x-request-id"], "REQUEST").replaceAll(id, "ID");

describe("C1 tenant isolation", () => {
  test("every route with an id answers as if it were not there, and changes nothing", async () => {
    const before = await everything(app.owner);
    const routes = app.contract
      .operations()
      .filter(({ path }) => path.startsWith("/api/v1/") && path.includes("{") && !OF_ALL.test(path));
    expect(routes.length).toBeGreaterThan(10);
    for (const { method, path } of routes) {
      const key =
        Object.keys(mine).find((known) => known === path) ??
        Object.keys(mine).find((known) => path.startsWith(known));
      expect(key, `a row in "mine" for ${path}`).toBeDefined();
      const send = (id) => {
        const body =
          method === "get" || method === "delete" ? undefined : (BODIES[`${method} ${path}`] ?? {});
        return other.send(method.toUpperCase(), path.replace(/\{[^}]+\}/, id), body);
      };
      const absentId = mine[key].includes(MARK) ? "NOT-ANYWHERE" : ABSENT_ID;
      const [foreign, absent] = [await send(mine[key]), await send(absentId)];
      expect(foreign.status, `${method} ${path}`).toBe(404);
      expect(withoutIds(foreign, mine[key]), `${method} ${path}`).toBe(withoutIds(absent, absentId));
    }
    (await other.post("/api/v1/queues/default/pause")).expect(200);
    (await other.patch("/api/v1/schedules/noop", { paused: true })).expect(200);
    expect(await everything(app.owner)).toEqual(before);
    (await other.post("/api/v1/queues/default/resume")).expect(200);
    (await other.patch("/api/v1/schedules/noop", { paused: false })).expect(200);
  });

  test("no list shows anything of it, with or without filters", async () => {
    const secrets = [MARK, MARK.toLowerCase(), ...Object.values(mine).filter((id) => id !== ABSENT_ID)];
    for (const [path, text] of Object.entries(await everything(other)))
      for (const secret of secrets) expect(text.includes(secret), `${secret} in ${path}`).toBe(false);
    const sku = mine["/api/v1/catalog/{sku}"];
    for (const query of [
      `stock?sku=${sku}`,
      `stock?place=${mine["/api/v1/places/{code}"]}`,
      `stock/moves?sku=${sku}`,
    ])
      expect(await other.all(`/api/v1/${query}`)).toEqual([]);
  });

  test("its SKUs and places cannot be named in a move or a scan", async () => {
    const sku = mine["/api/v1/catalog/{sku}"],
      place = mine["/api/v1/places/{code}"];
    const move = (changes) =>
      other.post("/api/v1/stock/moves", {
        sku: "OWN",
        quantity: 1,
        from: "supplier",
        to: "warehouse",
        reason: "x",
        ...changes,
      });
    await app.item("OWN", { client: other });
    refused(await move({ sku }), 422, "sku");
    refused(await move({ to: place }), 422, "to");
    refused(await move({ from: place, to: "customer" }), 422, "from");
    refused(
      await other.post("/api/v1/catalog/ingest", { sku: "OWN", quantity: 1, location: place }),
      422,
      "location",
    );
  });

  test("the same names in both stay apart", async () => {
    const sku = mine["/api/v1/catalog/{sku}"];
    await app.item(sku, { stock: 100, client: other });
    const row = (
      await other.post("/api/v1/stock/moves", {
        sku,
        quantity: 5,
        from: "warehouse",
        to: "customer",
        reason: "mine",
        source: "dock",
        source_ref: MARK,
      })
    ).expect(201).data;
    expect(row.reason).toBe("mine");
    expect(await app.onHand(sku, "warehouse", other)).toBe(95);
    expect(await app.onHand(sku)).toBe(7);
    expect((await app.owner.get(`/api/v1/catalog/${sku}`)).data.name).toBe(sku);
  });

  test("an Idempotency-Key of one means nothing in the other", async () => {
    const headers = { "Idempotency-Key": "shared-by-chance" };
    const [a, b] = [{ sku: fresh("KEY-A") }, { sku: fresh("KEY-B") }];
    (await app.owner.post("/api/v1/catalog", a, { headers })).expect(201);
    expect((await other.post("/api/v1/catalog", b, { headers })).expect(201).data.sku).toBe(b.sku);
  });
});
