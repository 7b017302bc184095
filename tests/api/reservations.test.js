// Reservations: two phases, an expiry, and never more than there is.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { eventually, sleep } from "../lib/eventually.js";
import { fresh } from "../lib/webhook.js";

const clock = new Clock();
const app = useApp(clock.settings);
const PATH = "/api/v1/stock/reservations";
const at_once = (n, make) => Promise.all(Array.from({ length: n }, (_, i) => make(i)));
const in_seconds = (seconds) => clock.in(seconds);
const reserve = (body) => app.owner.post(PATH, body);
const made = async (sku, quantity, more = {}) => (await reserve({ sku, quantity, ...more })).expect(201).data;
const numbers = async (sku, place) => {
  const { on_hand, reserved, available } = await app.level(sku, place);
  return [on_hand, reserved, available];
};

describe("S4 a reservation", () => {
  test("takes what is available away from others, and only that", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const one = await made(sku, 3);
    expect(one).toMatchObject({ sku, quantity: 3, place: "warehouse", state: "pending", posted: 0 });
    expect(one).toMatchObject({ source: "api", actor: "owner@default.example", expires_at: null });
    expect(await numbers(sku)).toEqual([5, 3, 2]);
    const refused = (await reserve({ sku, quantity: 3 })).expect(409);
    expect(refused.error.code).toBe("insufficient-stock");
    expect(refused.error.message).toContain("2 of");
    expect((await app.owner.get(`${PATH}/${one.id}`)).expect(200).data).toEqual(one);
  });

  test("posted: the goods leave by a move that names it, once", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const { id } = await made(sku, 3);
    const posted = (await app.owner.post(`${PATH}/${id}/post`)).expect(200).data;
    expect(posted).toMatchObject({ state: "posted", posted: 3 });
    expect((await app.owner.post(`${PATH}/${id}/post`, {})).expect(200).data).toEqual(posted);
    expect(await numbers(sku)).toEqual([2, 0, 2]);
    const [move] = await app.moves(sku);
    expect(move).toMatchObject({ quantity: 3, from: "warehouse", to: "customer" });
    expect(move).toMatchObject({ source: "reservation", source_ref: id });
    (await app.owner.post(`${PATH}/${id}/void`)).expect(409);
  });

  test("posted in part, to another place: the rest is available again", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const { id } = await made(sku, 4);
    const wrong = (await app.owner.post(`${PATH}/${id}/post`, { quantity: 5 })).expect(422);
    expect(wrong.fields).toEqual(["quantity"]);
    const lost = (await app.owner.post(`${PATH}/${id}/post`, { to: "nowhere" })).expect(422);
    expect(lost.fields).toEqual(["to"]);
    expect(await numbers(sku)).toEqual([5, 4, 1]);
    const body = { quantity: 1, to: "adjustment", reason: "found broken" };
    expect((await app.owner.post(`${PATH}/${id}/post`, body)).expect(200).data.posted).toBe(1);
    expect(await numbers(sku)).toEqual([4, 0, 4]);
    expect(await app.onHand(sku, "adjustment")).toBe(1);
    (await app.owner.post(`${PATH}/${id}/post`, { quantity: 2 })).expect(409);
  });

  test("voided: available again, once", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const { id } = await made(sku, 5);
    const voided = (await app.owner.post(`${PATH}/${id}/void`)).expect(200).data;
    expect(voided).toMatchObject({ state: "voided", posted: 0 });
    expect((await app.owner.post(`${PATH}/${id}/void`)).expect(200).data).toEqual(voided);
    (await app.owner.post(`${PATH}/${id}/post`)).expect(409);
    expect(await numbers(sku)).toEqual([5, 0, 5]);
  });

  test("the same source_ref reserves once; other content is a conflict", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const body = { sku, quantity: 2, source_ref: fresh("basket") };
    const answers = await at_once(20, () => reserve(body));
    expect(answers.filter(({ status }) => status === 201).length).toBe(1);
    expect(new Set(answers.map(({ data }) => data.id)).size).toBe(1);
    (await reserve({ ...body, quantity: 3 })).expect(409);
    expect(await numbers(sku)).toEqual([5, 2, 3]);
  });

  test.each([
    ["sku", { sku: "NOT-THERE", quantity: 1 }],
    ["quantity", { sku: "TEST-SKU-001", quantity: 0 }],
    ["place", { sku: "TEST-SKU-001", quantity: 1, place: "nowhere" }],
    ["place", { sku: "TEST-SKU-001", quantity: 1, place: "supplier" }],
    ["colour", { sku: "TEST-SKU-001", quantity: 1, colour: "red" }],
  ])("names %s when it is wrong", async (field, body) => {
    expect((await reserve(body)).expect(422).fields).toEqual([field]);
  });

  test("an expiry that has passed is refused", async () => {
    const sku = await app.item(fresh("R"), { stock: 1 });
    const late = (await reserve({ sku, quantity: 1, expires_at: in_seconds(-1) })).expect(422);
    expect(late.fields).toEqual(["expires_at"]);
    expect(await numbers(sku)).toEqual([1, 0, 1]);
  });

  test("is listed, by item, place, state and name", async () => {
    const sku = await app.item(fresh("R"), { stock: 9 });
    const [a, b] = [await made(sku, 1, { source_ref: fresh("list") }), await made(sku, 2)];
    (await app.owner.post(`${PATH}/${b.id}/void`)).expect(200);
    const ids = async (query) => (await app.owner.all(`${PATH}?${query}`)).map(({ id }) => id);
    expect(await ids(`sku=${sku}`)).toEqual([b.id, a.id]);
    expect(await ids(`sku=${sku}&filter[state]=pending`)).toEqual([a.id]);
    expect(await ids(`filter[source_ref]=${a.source_ref}`)).toEqual([a.id]);
    expect(await ids(`sku=${sku}&place=supplier`)).toEqual([]);
  });

  test("who may: a clerk, not a viewer; another organisation sees nothing", async () => {
    const sku = await app.item(fresh("R"), { stock: 2 });
    const clerk = await app.as("clerk");
    const { id } = (await clerk.post(PATH, { sku, quantity: 1 })).expect(201).data;
    (await (await app.as("viewer")).post(PATH, { sku, quantity: 1 })).expect(403);
    const stranger = await app.other();
    (await stranger.get(`${PATH}/${id}`)).expect(404);
    (await stranger.post(`${PATH}/${id}/void`)).expect(404);
    expect(await numbers(sku)).toEqual([2, 1, 1]);
  });
});

describe("S4 what is reserved", () => {
  test("a move of a request leaves it alone; its own posting may take it", async () => {
    const sku = await app.item(fresh("R"), { stock: 5 });
    const { id } = await made(sku, 4);
    const take = { sku, quantity: 2, from: "warehouse", to: "customer" };
    (await app.owner.post("/api/v1/stock/moves", take)).expect(409);
    (await app.owner.post("/api/v1/stock/moves", { ...take, quantity: 1 })).expect(201);
    (await app.owner.post(`${PATH}/${id}/post`)).expect(200);
    expect(await numbers(sku)).toEqual([0, 0, 0]);
  });

  test("fifty clients reserve the last one: exactly one wins", async () => {
    const sku = await app.item(fresh("LAST"), { stock: 1 });
    const answers = await at_once(50, () => reserve({ sku, quantity: 1 }));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201).length).toBe(1);
    expect(statuses.filter((status) => status === 409).length).toBe(49);
    expect(await numbers(sku)).toEqual([1, 1, 0]);
  });

  test("fifty clients post and void one reservation: one of the two happens", async () => {
    const sku = await app.item(fresh("R"), { stock: 3 });
    const { id } = await made(sku, 2);
    const answers = await at_once(50, (i) => app.owner.post(`${PATH}/${id}/${i % 2 ? "post" : "void"}`));
    const states = new Set(answers.filter(({ status }) => status === 200).map(({ data }) => data.state));
    expect(states.size).toBe(1);
    expect(await numbers(sku)).toEqual(states.has("posted") ? [1, 0, 1] : [3, 0, 3]);
  });
});

describe("S4 expiry", () => {
  const HOUR = 3600;
  const pass = () => clock.show(app, clock.in(HOUR + 1));
  const swept = () => sleep(1500); // time enough for what must not happen

  test("ends by itself, once, and can be posted no more", async () => {
    const sku = await app.item(fresh("E"), { stock: 2 });
    const { id } = await made(sku, 2, { expires_at: in_seconds(HOUR) });
    expect(await numbers(sku)).toEqual([2, 2, 0]);
    await pass();
    await eventually(async () => expect(await numbers(sku)).toEqual([2, 0, 2]));
    expect((await app.owner.get(`${PATH}/${id}`)).data.state).toBe("expired");
    const late = (await app.owner.post(`${PATH}/${id}/post`)).expect(409);
    expect(late.error.message).toContain("expired");
    (await app.owner.post(`${PATH}/${id}/void`)).expect(409);
    expect(await numbers(sku)).toEqual([2, 0, 2]);
  });

  test("makes way at the very moment for who needs it", async () => {
    const sku = await app.item(fresh("E"), { stock: 1 });
    await made(sku, 1, { expires_at: in_seconds(HOUR) });
    (await reserve({ sku, quantity: 1 })).expect(409);
    await pass();
    await made(sku, 1);
    expect(await numbers(sku)).toEqual([1, 1, 0]);
    await swept();
    expect(await numbers(sku)).toEqual([1, 1, 0]);
  });

  test("does not touch what was posted or voided before", async () => {
    const sku = await app.item(fresh("E"), { stock: 4 });
    const [a, b] = await at_once(2, () => made(sku, 2, { expires_at: in_seconds(HOUR) }));
    (await app.owner.post(`${PATH}/${a.id}/post`)).expect(200);
    (await app.owner.post(`${PATH}/${b.id}/void`)).expect(200);
    await pass();
    await swept();
    expect(await numbers(sku)).toEqual([2, 0, 2]);
    const states = (await app.owner.all(`${PATH}?sku=${sku}`)).map(({ state }) => state);
    expect(states.sort()).toEqual(["posted", "voided"]);
  });

  test("survives a restart of the server", async () => {
    const sku = await app.item(fresh("E"), { stock: 1 });
    await made(sku, 1, { expires_at: in_seconds(HOUR) });
    await app.server.kill();
    clock.set(clock.in(HOUR + 1));
    await app.server.start();
    app.connect();
    await eventually(async () => expect(await numbers(sku)).toEqual([1, 0, 1]));
  });
});

describe("S4 oversold", () => {
  test("a fact below zero flags the level, receipts clear it", async () => {
    const sku = await app.item(fresh("O"), { stock: 1 });
    const event = { shipmentId: fresh(), orderId: fresh("O"), channel: "woot", status: "shipped" };
    const full = { ...event, timestamp: in_seconds(0), items: [{ sku, quantity: 3 }] };
    (await app.hook(full)).expect(200);
    await app.settled();
    const oversold = (flag) => app.owner.all(`/api/v1/stock?sku=${sku}&filter[oversold]=${flag}`);
    expect(await oversold(true)).toMatchObject([{ sku, place: "warehouse", on_hand: -2, oversold: true }]);
    expect(await oversold(false)).toMatchObject([{ place: "customer" }, { place: "supplier" }]);
    await app.receive(sku, 2);
    expect(await oversold(true)).toEqual([]);
  });
});
