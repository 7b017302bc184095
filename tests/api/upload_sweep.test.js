// W1 X8: no upload stays half read, and none is kept longer than UPLOAD_DAYS says.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { tamper } from "../lib/database.js";
import { eventually } from "../lib/eventually.js";
import { form } from "../lib/form.js";
import { refused } from "../lib/refused.js";
import { fresh } from "../lib/webhook.js";

const clock = new Clock();
const app = useApp({ ...clock.settings, UPLOAD_DAYS: "30" });
const UPLOADS = "/api/v1/catalog/uploads";
const MINUTE = 60;
const DAY = 24 * 3600;

async function upload(rows = 450) {
  const lines = Array.from({ length: rows }, (_, i) => `${fresh("SWEPT")},${i % 100 === 99 ? "bad" : 1}`);
  const { body, headers } = form(`sku,quantity\n${lines.join("\n")}\n`);
  return (await app.owner.post(UPLOADS, body, { headers })).expect(201).data.id;
}
const show = async (id) => (await app.owner.get(`${UPLOADS}/${id}`)).expect(200).data;
const rows = (id) => app.owner.all(`${UPLOADS}/rows?upload_id=${id}`);
const apply = (id) => app.owner.post(`${UPLOADS}/${id}/apply`);
const applied = async (id) => {
  (await apply(id)).expect(200);
  await eventually(async () => expect((await show(id)).state).toBe("applied"));
};
const sweep = async (seconds) => {
  await clock.show(app, clock.in(seconds));
  await app.server.command("jobs", "run", "uploads.sweep");
};

describe("W1 an upload that the server did not read to its end", () => {
  test("fails with the reason, loses its rows, and can be dropped", async () => {
    const [half, whole] = [await upload(), await upload()];
    tamper(app.server.env.DATABASE_URL, "UPDATE upload SET state = 'reading' WHERE total_rows = 450");
    tamper(app.server.env.DATABASE_URL, "UPDATE upload SET total_rows = 0 WHERE state = 'reading'");
    await sweep(10 * MINUTE);
    expect((await show(half)).state, "somebody may still be reading").toBe("reading");
    await sweep(6 * MINUTE);
    for (const id of [half, whole]) {
      const now = await show(id);
      expect(now).toMatchObject({ state: "failed", problem: expect.stringContaining("upload it again") });
      expect(now.dropped_at).not.toBeNull();
      expect(await rows(id)).toEqual([]);
      refused(await apply(id), 409);
      (await app.owner.delete(`${UPLOADS}/${id}`)).expect(204);
      refused(await app.owner.get(`${UPLOADS}/${id}`), 404);
    }
  });
});

describe("X8 UPLOAD_DAYS", () => {
  test("what was applied keeps its figures and exceptions; what was not has failed", async () => {
    const [done, left] = [await upload(), await upload()];
    await applied(done);
    await sweep(29 * DAY);
    expect(await rows(done)).toHaveLength(450);
    expect((await show(left)).state).toBe("ready");
    const young = await upload();
    await sweep(2 * DAY);
    expect(await show(done)).toMatchObject({ state: "applied", accepted: 446, rejected: 4, problem: null });
    expect((await show(done)).dropped_at).not.toBeNull();
    expect(await rows(done)).toEqual([]);
    const kept = await app.owner.all(`/api/v1/catalog/exceptions?filter[upload_id]=${done}`);
    expect(kept).toHaveLength(4);
    const problem = expect.stringContaining("UPLOAD_DAYS");
    expect(await show(left)).toMatchObject({ state: "failed", problem });
    expect(await rows(left)).toEqual([]);
    expect((await show(young)).state).toBe("ready");
    expect(await rows(young)).toHaveLength(450);
  });

  test("a sweep that finds nothing does nothing, twice", async () => {
    const id = await upload(3);
    for (let i = 0; i < 2; i++) await app.server.command("jobs", "run", "uploads.sweep");
    expect((await show(id)).state).toBe("ready");
  });
});
