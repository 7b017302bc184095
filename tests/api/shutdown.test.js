// X11: SIGTERM under load. What was answered is there after the next start, and what had no answer had no
// effect: no request was taken and then dropped.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { shipment } from "../lib/webhook.js";

let app;
beforeEach(async () => {
  app = new App();
  await app.launch();
});
afterEach(() => app.finish());

// Sends moves and events until the server is gone; gives what was answered and what was not.
function load(connections, until) {
  const answered = new Set(),
    dropped = new Set(),
    events = new Set(),
    droppedEvents = new Set();
  const worker = async (n) => {
    for (let i = 0; !until.stop; i++) {
      const source_ref = `${n}-${i}`;
      const isEvent = i % 3 === 0;
      try {
        const answer = isEvent
          ? await app.hook(shipment({ shipmentId: source_ref, items: [{ sku: "LOADED", quantity: 1 }] }))
          : await app.owner.post("/api/v1/stock/moves", {
              sku: "LOADED",
              quantity: 1,
              from: "supplier",
              to: "warehouse",
              reason: "in",
              source: "load",
              source_ref,
            });
        // While it drains the server may say that it does.
        if (answer.status === 503) (isEvent ? droppedEvents : dropped).add(source_ref);
        else (isEvent ? events : answered).add(answer.expect(isEvent ? 200 : 201) && source_ref);
      } catch (error) {
        if (error.message?.startsWith("expected")) throw error;
        (isEvent ? droppedEvents : dropped).add(source_ref);
        await sleep(5);
      }
    }
  };
  const ended = Promise.all(Array.from({ length: connections }, (_, n) => worker(n)));
  return { answered, dropped, events, droppedEvents, ended };
}

describe("X11 graceful shutdown", () => {
  test("under load ends with 0; answered is done, not answered is not", async () => {
    await app.item("LOADED");
    const until = { stop: false };
    const { answered, dropped, events, droppedEvents, ended } = load(16, until);
    await eventually(() => {
      if (events.size === 0) throw new Error("no event yet");
      expect(answered.size).toBeGreaterThan(50);
    });
    expect(await app.server.stop()).toEqual({ status: 0, signal: null });
    until.stop = true;
    await ended;
    await app.pool.destroy();
    await app.server.start();
    app.connect();
    await app.settled();
    const moves = await app.moves("LOADED");
    const recorded = new Set(moves.filter((move) => move.source === "load").map((move) => move.source_ref));
    expect(
      [...answered].filter((ref) => !recorded.has(ref)),
      "answered, but not there",
    ).toEqual([]);
    expect(
      [...dropped].filter((ref) => recorded.has(ref)),
      "there, but never answered",
    ).toEqual([]);
    const shipped = new Set(
      moves.filter((move) => move.source === "shipstation").map((move) => move.source_ref.split(":")[0]),
    );
    expect(
      [...events].filter((id) => !shipped.has(id)),
      "acknowledged, but not applied",
    ).toEqual([]);
    expect(
      [...droppedEvents].filter((id) => shipped.has(id)),
      "applied, but never acknowledged",
    ).toEqual([]);
  });

  test("does not wait for connections that are idle or that never finish their request", async () => {
    const silent = [
      app.server.raw("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", { quiet: 45_000, within: 45_000 }),
      app.server.raw("GET /healthz HT", { within: 45_000 }),
      app.server.raw("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{", {
        within: 45_000,
      }),
    ];
    await sleep(100);
    expect(await app.server.stop(40_000)).toEqual({ status: 0, signal: null });
    for (const { closed } of await Promise.all(silent)) expect(closed).toBe(true);
    await app.server.start();
    app.connect();
  });

  test("SIGINT is as good as SIGTERM", async () => {
    app.server.child.kill("SIGINT");
    expect(await app.server.exit).toEqual({ status: 0, signal: null });
    await app.server.start();
  });
});
