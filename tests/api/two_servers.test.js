// C4: two processes on one PostgreSQL race for the same events, stock and users.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App, useApp } from "../lib/app.js";
import { Client } from "../lib/client.js";
import { eventually } from "../lib/eventually.js";
import { DATABASE } from "../lib/folder.js";
import { refused } from "../lib/refused.js";
import { shipment } from "../lib/webhook.js";

describe.runIf(DATABASE === "postgres")("C4 two processes on one database", () => {
  const first = useApp();
  const second = new App();
  beforeAll(() => second.join(first));
  afterAll(() => second.finish());
  const both = (n, send) => Promise.all(Array.from({ length: n }, (_, i) => send(i % 2 ? first : second, i)));
  const count = (answers, status) => answers.filter((answer) => answer.status === status).length;

  test("one event a hundred times at both: one ok, moved once", async () => {
    const sku = await first.item("RACED", { stock: 100 });
    const event = shipment({ items: [{ sku, quantity: 3 }] });
    const answers = await both(100, (app) => app.hook(event));
    const said = answers.map((answer) => answer.expect(200).json.status);
    expect(said.filter((status) => status === "ok")).toHaveLength(1);
    await first.settled();
    expect(await second.onHand(sku)).toBe(97);
  });

  test("two hundred events at both are each applied once", async () => {
    const sku = await first.item("SHARED", { stock: 1000 });
    const answers = await both(200, (app) => app.hook(shipment({ items: [{ sku, quantity: 1 }] })));
    for (const answer of answers) expect(answer.expect(200).json.status).toBe("ok");
    await second.settled();
    expect(await first.onHand(sku)).toBe(800);
    expect(await first.moves(sku)).toHaveLength(201);
  });

  test("S4 fifty clients of both reserve the last one: one wins", async () => {
    const sku = await first.item("LAST-ONE", { stock: 1 });
    const answers = await both(50, (app) =>
      app.owner.post("/api/v1/stock/reservations", { sku, quantity: 1 }),
    );
    expect([count(answers, 201), count(answers, 409)]).toEqual([1, 49]);
    expect(await second.level(sku)).toMatchObject({ on_hand: 1, reserved: 1, available: 0 });
  });

  test("S10 crossing bookings, promises and their postings at both: no deadlock, the sums hold", async () => {
    const skus = [await first.item("WEAVE-A", { stock: 60 }), await first.item("WEAVE-B", { stock: 60 })];
    const answers = await both(200, async (app, i) => {
      const [sku, other] = i % 3 ? skus : skus.toReversed();
      const lines = [sku, other].map((one) => ({ sku: one, quantity: 1 }));
      if (i % 4 < 2)
        return app.owner.post("/api/v1/stock/moves/bulk", { lines, from: "warehouse", to: "customer" });
      const made = await app.owner.post("/api/v1/stock/reservations", { sku, quantity: 2 });
      if (made.status !== 201) return made;
      const how = i % 4 === 2 ? "post" : "void";
      return app.owner.post(`/api/v1/stock/reservations/${made.data.id}/${how}`);
    });
    for (const { status } of answers) expect([200, 201, 409]).toContain(status);
    for (const sku of skus) {
      const { on_hand, reserved } = await first.level(sku);
      expect([on_hand >= 0, reserved]).toEqual([true, 0]);
      expect(on_hand + (await first.onHand(sku, "customer"))).toBe(60);
    }
  });

  test("an item made at the moment its shipment is looked at is not missed", async () => {
    const skus = Array.from({ length: 300 }, (_, i) => `AT-ONCE-${i}`);
    await Promise.all(
      skus.map(async (sku, i) => {
        const made = first.owner.post("/api/v1/catalog", { sku });
        if (i % 2) await made;
        (await second.hook(shipment({ items: [{ sku, quantity: 1 }] }))).expect(200);
        (await made).expect(201);
      }),
    );
    const stuck = async () => (await first.owner.all("/api/v1/deliveries?filter[state]=exception")).length;
    await eventually(async () => expect(await stuck()).toBe(0), { every: 200 });
    await first.settled();
    expect(await second.onHand(skus[0])).toBe(-1);
  });

  test("fifty clients of both want the last twenty: twenty win", async () => {
    const sku = await first.item("LAST", { stock: 20 });
    const take = { sku, quantity: 1, from: "warehouse", to: "customer", reason: "sale" };
    const answers = await both(50, (app) => app.owner.post("/api/v1/stock/moves", take));
    expect([count(answers, 201), count(answers, 409)]).toEqual([20, 30]);
  });

  test("one source_ref at both is one move", async () => {
    const sku = await first.item("ONE");
    const move = { sku, quantity: 5, from: "supplier", to: "warehouse", source: "dock", source_ref: "X" };
    const answers = await both(40, (app) => app.owner.post("/api/v1/stock/moves", move));
    expect([count(answers, 201), count(answers, 200)]).toEqual([1, 39]);
  });

  test("events with items in opposite orders do not block each other", async () => {
    const [a, b] = [await first.item("CROSS-A", { stock: 500 }), await first.item("CROSS-B", { stock: 500 })];
    const lines = [a, b].map((sku) => ({ sku, quantity: 1 }));
    await both(100, async (app, i) =>
      (await app.hook(shipment({ items: i % 3 ? lines : lines.toReversed() }))).expect(200),
    );
    await first.settled();
    expect([await first.onHand(a), await first.onHand(b)]).toEqual([400, 400]);
  });

  test("a token of one is good at the other until its user is disabled anywhere", async () => {
    const clerk = await first.as("clerk");
    const there = new Client(second, { token: clerk.token });
    // Until it has heard of the new user it says 503 with Retry-After.
    await eventually(async () => (await there.get("/api/v1/auth/me")).expect(200));
    (await first.owner.patch(`/api/v1/users/${clerk.user.id}`, { disabled: true })).expect(200);
    await eventually(async () => refused(await there.get("/api/v1/auth/me"), 401));
  });
});
