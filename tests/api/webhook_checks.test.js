// The shipping webhook's checks in the order of interfaces.md: each refusal alone, and of any two at once the
// earlier one.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { SECRETS } from "../lib/server.js";
import { shipment, sign, timestamp } from "../lib/webhook.js";

const app = useApp();

// Each fault spoils a request; they stand in the order in which they are looked for.
const FAULTS = [
  { name: "no signature", status: 401, rank: 1, headers: { "X-ShipStation-Signature": null } },
  { name: "two signatures", status: 400, rank: 1, twice: true },
  { name: "no Content-Length", status: 411, rank: 2, chunked: true },
  { name: "a body over APP_MAX_PAYLOAD", status: 413, rank: 2, pad: 1025 },
  { name: "a wrong signature", status: 403, rank: 4, secret: "a secret that nobody has given us" },
  { name: "no JSON", status: 400, rank: 5, cut: true },
  { name: "a missing field", status: 422, rank: 6, event: { orderId: undefined } },
  { name: "a time outside the window", status: 403, rank: 8, event: { timestamp: timestamp(-600) } },
];

async function* inChunks(body) {
  yield Buffer.from(body);
}

function send(...faults) {
  const all = Object.assign({ secret: SECRETS.first }, ...faults);
  const event = shipment(Object.assign({}, ...faults.map((fault) => fault.event)));
  const text = JSON.stringify(event);
  const body = (all.cut ? text.slice(0, -1) : text).padEnd(all.pad ?? 0);
  const signature = sign(body, all.secret);
  const headers = {
    authorization: null,
    "X-ShipStation-Signature": all.twice ? [signature, signature] : signature,
  };
  const sent = all.chunked ? inChunks(body) : body;
  return app.anonymous.post("/webhooks/shipstation", sent, { headers: { ...headers, ...all.headers } });
}

describe("C3 each check alone", () => {
  test.each(FAULTS)("$name is $status", async (fault) => {
    refused(await send(fault), fault.status);
  });

  test("nothing wrong is ok", async () => {
    expect((await send()).expect(200).json).toEqual({ status: "ok" });
  });

  test("a body of exactly APP_MAX_PAYLOAD is taken", async () => {
    expect((await send({ pad: 1024 })).expect(200).json).toEqual({ status: "ok" });
  });

  test("a refused event leaves nothing behind", async () => {
    await app.settled();
    const before = await app.owner.all("/api/v1/deliveries");
    for (const fault of FAULTS) await send(fault);
    expect(await app.owner.all("/api/v1/deliveries")).toEqual(before);
  });
});

const pairs = FAULTS.flatMap((first) =>
  FAULTS.filter((second) => second.rank > first.rank).map((second) => ({ first, second })),
);

describe("C3 of two faults the earlier check answers", () => {
  test.each(pairs)("$first.name before $second.name", async ({ first, second }) => {
    const alone = refused(await send(first), first.status);
    expect(refused(await send(first, second), first.status).code).toBe(alone.code);
  });
});

describe("C3 signatures that never verify", () => {
  const good = (body) => sign(body, SECRETS.first);
  const CASES = [
    ["empty", () => ""],
    ["short", (body) => good(body).slice(0, 62)],
    ["of odd length", (body) => good(body).slice(0, 63)],
    ["long", (body) => `${good(body)}00`],
    ["not hexadecimal", (body) => `zz${good(body).slice(2)}`],
    ["with a prefix", (body) => `sha256=${good(body)}`],
    ["of one bit less", (body) => good(body).replace(/.$/, (c) => (parseInt(c, 16) ^ 1).toString(16))],
    ["of the same JSON written otherwise", (body) => good(JSON.stringify(JSON.parse(body), null, 1))],
    ["made with an empty secret", (body) => sign(body, "")],
    ["made with the whole setting", (body) => sign(body, `default:${SECRETS.first}`)],
  ];
  test.each(CASES)("%s", async (_, make) => {
    const body = JSON.stringify(shipment());
    const headers = { "X-ShipStation-Signature": make(body) };
    refused(await app.anonymous.post("/webhooks/shipstation", body, { headers }), 403);
  });

  test("the header's name has no case", async () => {
    const body = JSON.stringify(shipment());
    const headers = { "x-shipstation-SIGNATURE": good(body) };
    (await app.anonymous.post("/webhooks/shipstation", body, { headers })).expect(200);
  });
});

describe("C3 the replay window is five minutes on both sides", () => {
  test.each([
    [-297, 200],
    [297, 200],
    [-303, 403],
    [303, 403],
    [-86400, 403],
    [86400 * 365, 403],
  ])("%i s from now is %i", async (offset, status) => {
    (await app.hook(shipment({ timestamp: timestamp(offset) }))).expect(status);
  });

  test("an offset other than Z is understood", async () => {
    const local = new Date(Date.now() + 5.5 * 3_600_000).toISOString().replace("Z", "+05:30");
    (await app.hook(shipment({ timestamp: local }))).expect(200);
  });

  test("a known event answers duplicate even later", async () => {
    const event = shipment();
    (await app.hook(event)).expect(200);
    for (const offset of [-600, 600]) {
      const again = await app.hook({ ...event, timestamp: timestamp(offset) });
      expect(again.expect(200).json).toEqual({ status: "duplicate" });
    }
    refused(await app.hook({ ...event, timestamp: timestamp(-600) }, { secret: "wrong" }), 403);
  });

  test("the very same bytes are a duplicate after the window has closed", async () => {
    const event = shipment({ timestamp: timestamp(-298) });
    (await app.hook(event)).expect(200);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await app.hook(event)).expect(200).json).toEqual({ status: "duplicate" });
  });
});
