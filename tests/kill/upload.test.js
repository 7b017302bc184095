// W1: the server is killed again and again while it applies a file of 10,000 rows; every row counts once.
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { form } from "../lib/form.js";

const UPLOADS = "/api/v1/catalog/uploads";
const ROWS = 10_000;
const SKUS = 40;
const KILLS = Number(process.env.KILLS ?? 20) / 4;
const app = new App();
afterAll(() => app.finish());

async function again() {
  await app.server.kill();
  await app.pool.destroy();
  await app.server.start();
  app.connect();
}
const show = async (id) => (await app.owner.get(`${UPLOADS}/${id}`)).expect(200).data;

test("W1 kill -9 while a file is applied: each row counts once", async () => {
  await app.launch({ RATE_LIMIT: "0" });
  const lines = Array.from({ length: ROWS }, (_, i) => `K${i % SKUS},${i % 50 === 49 ? "bad" : 1}`);
  const { body, headers } = form(`sku,quantity\n${lines.join("\n")}\n`);
  const u = (await app.owner.post(UPLOADS, body, { headers })).expect(201).data;
  expect(u).toMatchObject({ total_rows: ROWS, to_reject: ROWS / 50 });
  (await app.owner.post(`${UPLOADS}/${u.id}/apply`)).expect(200);
  let between = 0;
  for (let i = 0; i < KILLS; i++) {
    await sleep(30 + (i * 37) % 90);
    await again();
    const now = await show(u.id);
    expect(now.accepted + now.rejected + now.duplicate).toBe(now.cursor_row - 1);
    between += now.state === "applying";
  }
  expect(between).toBeGreaterThan(0);
  const done = await eventually(
    async () => {
      const now = await show(u.id);
      expect(now.state).toBe("applied");
      return now;
    },
    { within: 120_000 },
  );
  const bad = ROWS / 50;
  expect(done).toMatchObject({ accepted: ROWS - bad, rejected: bad, duplicate: 0, cursor_row: ROWS + 1 });
  const levels = await Promise.all(Array.from({ length: SKUS }, (_, i) => app.onHand(`K${i}`)));
  expect(levels.reduce((a, b) => a + b, 0)).toBe(ROWS - bad);
  const kept = await app.owner.all(`/api/v1/catalog/exceptions?filter[upload_id]=${u.id}`);
  expect(kept).toHaveLength(bad);
}, 300_000);
