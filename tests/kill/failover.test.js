// C4: of two processes on one PostgreSQL one is killed under load; the other ends what it had begun.
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { DATABASE } from "../lib/folder.js";
import { shipment } from "../lib/webhook.js";

const survivor = new App();
const victim = new App();
afterAll(() => victim.server?.remove());
afterAll(() => survivor.finish());

// The killed process held leases; they run out first.
const LEASE_MS = 90_000;

test.runIf(DATABASE === "postgres")(
  "C4 what a killed process had acknowledged, another applies",
  async () => {
    await survivor.launch();
    await victim.join(survivor);
    const sku = await survivor.item("FAILOVER", { stock: 100_000 });
    const acknowledged = new Set();
    const state = { killed: false };
    const load = Array.from({ length: 16 }, async () => {
      while (!state.killed) {
        const event = shipment({ items: [{ sku, quantity: 1 }] });
        try {
          (await victim.hook(event)).expect(200);
          acknowledged.add(`${event.shipmentId}:shipped`);
        } catch (error) {
          if (!state.killed) throw error;
        }
      }
    });
    await sleep(700);
    state.killed = true;
    await victim.server.kill();
    await Promise.all(load);
    expect(acknowledged.size).toBeGreaterThan(50);
    await eventually(
      async () => {
        const moves = await survivor.moves(sku);
        const applied = new Set(moves.map((move) => move.source_ref));
        expect([...acknowledged].filter((ref) => !applied.has(ref))).toEqual([]);
        expect(moves.length, "each once").toBe(applied.size);
      },
      { within: LEASE_MS, every: 500 },
    );
    const left = await survivor.owner.all("/api/v1/deliveries?filter[state]=pending");
    expect(left.filter((row) => acknowledged.has(row.event_id))).toEqual([]);
  },
);
