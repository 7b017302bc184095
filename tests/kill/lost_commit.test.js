// The answer to COMMIT gets lost: the change has been made, and must not be made again.
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { DATABASE } from "../lib/folder.js";
import { Proxy } from "../lib/proxy.js";

const direct = new App();
const behind = new App();
const proxy = new Proxy();
afterAll(() => direct.finish());
afterAll(() => behind.server?.remove());
afterAll(() => behind.pool?.close());
afterAll(() => behind.server?.stop());
afterAll(() => proxy.stop());

test.runIf(DATABASE === "postgres")("S3 a lost answer to COMMIT is asked for, not run again", async () => {
  await direct.launch();
  const sku = await direct.item("COMMIT", { stock: 1 });
  await behind.join({ server: { env: { DATABASE_URL: await proxy.start(direct.server.env.DATABASE_URL) } } });
  for (let round = 1; round <= 10; round++) {
    proxy.armed = true;
    const move = { sku, quantity: 5, from: "supplier", to: "warehouse", reason: `round ${round}` };
    const answer = await behind.owner.post("/api/v1/stock/moves", move);
    expect(answer.status, answer.text).toBe(201);
    expect(await direct.onHand(sku)).toBe(1 + 5 * round);
  }
  expect(proxy.dropped).toBe(10);
});
