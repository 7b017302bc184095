// F6, F8, F12: runs by API, as jobs; a guard that asks and is answered.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";

const app = useApp();
const RUNS = "/api/v1/feeds/runs";
const folder = (...names) => path.join(app.server.folder, "feeds", ...names);

function put(date, status, n = 60) {
  mkdirSync(folder(date, "repeat_customers"), { recursive: true });
  const rows = Array.from({ length: n }, (_, i) => `ST01,${i},${status}`);
  writeFileSync(
    folder(date, "repeat_customers", "repeat_ST01.csv"),
    `Store Code,Mobile No.,Status\n${rows.join("\n")}\n`,
  );
}
const ended = (id) =>
  eventually(
    async () => {
      const run = (await app.owner.get(`${RUNS}/${id}`)).expect(200).data;
      expect(run.state).not.toBe("running");
      return run;
    },
    { within: 30_000 },
  );

test("F6 F8 a run is made by API, goes through as a job and shows its counts", async () => {
  (await app.owner.post("/api/v1/stores", { store_code: "ST01", etl_flag: true })).expect(201);
  put("20261120", "new");
  const order = { date: "2026-11-20", bucket: "repeat_customers" };
  const { id } = (await app.owner.post(RUNS, order)).expect(201).data;
  const run = await ended(id);
  expect(run).toMatchObject({ run_date: "2026-11-20", state: "done", bucket: "repeat_customers" });
  expect(run.buckets).toHaveLength(1);
  expect(run.buckets[0]).toMatchObject({
    bucket: "repeat_customers",
    rows_read: 60,
    merged_rows: 60,
    inserted_rows: 60,
    stores: [{ store_code: "ST01", rows_read: 60, merged_rows: 60 }],
  });
  expect(existsSync(folder("20261120", "repeat_customers"))).toBe(false);
  const listed = (await app.owner.get(`${RUNS}?date=2026-11-20`)).expect(200).data;
  expect(listed.map((r) => r.id)).toEqual([id]);
});

test("F12 a mass change asks, nothing is written until it is approved", async () => {
  put("20261121", "changed");
  const order = { date: "2026-11-21", bucket: "repeat_customers" };
  const { id } = (await app.owner.post(RUNS, order)).expect(201).data;
  const run = await ended(id);
  expect(run.state).toBe("stopped");
  expect(run.buckets[0]).toMatchObject({ state: "stopped", updated_rows: 0, inserted_rows: 0 });
  expect(run.buckets[0].message).toMatch(/60 of 60 known rows would change/);
  const approve = `${RUNS}/${id}/buckets/repeat_customers/approve`;
  (await app.owner.post(approve)).expect(200);
  const again = await ended(id);
  expect(again).toMatchObject({ state: "done" });
  expect(again.buckets[0]).toMatchObject({ updated_rows: 60, approved_by: "owner@default.example" });
  refused(await app.owner.post(approve), 409);
});

test("X4 what cannot be is refused", async () => {
  refused(await app.owner.post(RUNS, { bucket: "nothing" }), 422);
  refused(await app.owner.post(RUNS, { date: "2026-02-30" }), 422);
  refused(await app.owner.get(`${RUNS}/01a2152c-9c7a-7001-a41b-f41b4a052ecc`), 404);
  refused(await app.owner.get(`${RUNS}/x`), 404);
});
