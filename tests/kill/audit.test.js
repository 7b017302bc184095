// X7: SIGKILL while the audit trail is being sealed. A batch is there whole or not at all, and the next
// process goes on where it ends. KILLS is how often (20), SEED repeats the moments.
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { SEED, generator } from "../lib/random.js";

const KILLS = Number(process.env.KILLS ?? 20);
const app = new App();
afterAll(() => app.finish());

// Moves and sealings as fast as they come, until the server is gone.
async function load(state) {
  const move = { sku: "AUDITED", quantity: 1, from: "supplier", to: "warehouse", reason: "load" };
  const moving = Array.from({ length: 8 }, async () => {
    while (!state.killed) await app.owner.post("/api/v1/stock/moves", move).catch(() => sleep(1));
  });
  const sealing = (async () => {
    while (!state.killed) await app.server.cli(["audit", "seal"]);
  })();
  await Promise.all([...moving, sealing]);
}

test(`X7 ${KILLS} kills during sealing (SEED=${SEED})`, { timeout: 60_000 + KILLS * 3_000 }, async () => {
  const random = generator(SEED);
  await app.launch();
  await app.item("AUDITED");
  for (let i = 0; i < KILLS; i++) {
    const state = { killed: false };
    const running = load(state);
    await sleep(random.between(20, 700));
    state.killed = true;
    await app.server.kill();
    await running;
    await app.pool.destroy();
    await app.server.start();
    app.connect();
    const { status, stdout } = await app.server.cli(["audit", "verify"]);
    expect(status, stdout).toBe(0);
  }
  await eventually(async () => {
    const { stdout } = await app.server.cli(["audit", "verify", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ unsealed: 0, findings: [] });
  });
});
