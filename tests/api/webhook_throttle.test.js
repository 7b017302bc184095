// WEBHOOK_RATE and APP_MAX_PAYLOAD as settings, and where the throttle stands among the checks.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { shipment, timestamp } from "../lib/webhook.js";

describe("C3 X5 throttle", () => {
  const app = useApp({ WEBHOOK_RATE: "5/h" });

  const exhaust = () => eventually(async () => refused(await app.hook(shipment()), 429), { every: 0 });

  test("the first five are taken, the sixth is 429 with Retry-After", async () => {
    for (let i = 0; i < 5; i++) (await app.hook(shipment())).expect(200);
    const answer = await app.hook(shipment());
    refused(answer, 429);
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(answer.headers["retry-after"])).toBeLessThanOrEqual(720);
  });

  test.each([
    ["a wrong signature", 429, (a) => a.hook(shipment(), { secret: "wrong" })],
    ["no JSON", 429, (a) => a.hook("{")],
    ["a missing field", 429, (a) => a.hook(shipment({ status: undefined }))],
    ["a time outside the window", 429, (a) => a.hook(shipment({ timestamp: timestamp(-900) }))],
    ["no signature", 401, (a) => a.hook(shipment(), { headers: { "X-ShipStation-Signature": null } })],
    [
      "two signatures",
      400,
      (a) => a.hook(shipment(), { headers: { "X-ShipStation-Signature": ["a", "b"] } }),
    ],
    ["a body that is too large", 413, (a) => a.hook(JSON.stringify(shipment()).padEnd(1025))],
  ])("while it holds, %s is %i", async (_, status, send) => {
    await exhaust();
    refused(await send(app), status);
  });

  test("it is for the webhook only", async () => {
    await exhaust();
    (await app.owner.get("/api/v1/stock")).expect(200);
    (await app.anonymous.get("/status/health")).expect(200);
  });

  test("what was refused is not stored", async () => {
    await exhaust();
    const event = shipment();
    refused(await app.hook(event), 429);
    expect(await app.delivery(`${event.shipmentId}:shipped`)).toBeUndefined();
  });
});

describe("C3 APP_MAX_PAYLOAD is a setting", () => {
  const app = useApp({ APP_MAX_PAYLOAD: "4096" });

  test.each([
    [4096, 200],
    [4097, 413],
  ])("%i bytes are %i", async (size, status) => {
    (await app.hook(JSON.stringify(shipment()).padEnd(size))).expect(status);
  });
});

describe("X5 RATE_LIMIT", () => {
  const app = useApp({ RATE_LIMIT: "20/min" });

  test("is per token, 429 with Retry-After, and leaves health and webhooks alone", async () => {
    let limited;
    for (let i = 0; i < 40 && limited?.status !== 429; i++) limited = await app.owner.get("/api/v1/stock");
    refused(limited, 429);
    expect(Number(limited.headers["retry-after"])).toBeGreaterThan(0);
    for (const target of ["/status/health", "/healthz", "/health", "/metrics"])
      (await app.anonymous.get(target)).expect(200);
    for (let i = 0; i < 30; i++) (await app.hook(shipment())).expect(200);
  });
});
