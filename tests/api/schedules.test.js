// J3: schedules on a real server whose clock the test moves: exact, once, made good once after downtime.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { eventually, sleep } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";

const SCHEDULES = "/api/v1/schedules";
const clock = new Clock("2027-03-27T12:00:00Z");
const app = new App();
const show = (iso) => clock.show(app, iso);
const row = async () =>
  (await app.owner.get(SCHEDULES)).expect(200).data.find(({ name }) => name === "noop") ?? {};
const set = async (change) => (await app.owner.patch(`${SCHEDULES}/noop`, change)).expect(200).data;
const until = (wanted) => eventually(async () => expect(await row()).toMatchObject(wanted));
const preview = async (cron, time_zone, from, count) => {
  const query = new URLSearchParams({ cron, time_zone, from, count: String(count) });
  return (await app.owner.get(`${SCHEDULES}/preview?${query}`)).expect(200).data.times.map(({ at }) => at);
};

beforeAll(async () => {
  await app.launch(clock.settings);
}, 60_000);
afterAll(() => app.finish(), 60_000);

describe("J3 schedules", () => {
  test("each organisation has a row of each schedule", async () => {
    await until({ cron: "@yearly", time_zone: "UTC", paused: false, next_at: "2028-01-01T00:00:00Z" });
    expect(await app.server.command("schedule", "list")).toContain("noop");
  });

  test("an expression and a time zone of one's own, refused when they are none", async () => {
    for (const cron of ["", "* * * *", "60 * * * *", "0 0 30 2 *", "5/2 * * * *", "* * * * * *"])
      refused(await app.owner.patch(`${SCHEDULES}/noop`, { cron }), 422, "cron");
    for (const time_zone of ["Nowhere", "../etc/passwd", "Europe"])
      refused(await app.owner.patch(`${SCHEDULES}/noop`, { time_zone }), 422, "time_zone");
    refused(await app.owner.patch(`${SCHEDULES}/inbox.apply`, { paused: true }), 404);
    const own = await set({ cron: "30 2 * * *", time_zone: "Europe/Berlin" });
    expect(own).toMatchObject({ next_at: "2027-03-28T01:00:00Z", own_cron: "30 2 * * *" });
  });

  test("comes at the instant, through the hour that is left out, once", async () => {
    const { fired } = await row();
    await show("2027-03-28T00:59:59Z");
    await until({ fired: fired + 1, last_at: "2027-03-28T01:00:00Z", next_at: "2027-03-29T00:30:00Z" });
  });

  test("a clock that is set back a little fires nothing twice", async () => {
    const { fired } = await row();
    await show("2027-03-28T00:30:00Z");
    await sleep(1500);
    await show("2027-03-28T01:00:01Z");
    await sleep(1500);
    expect(await row()).toMatchObject({ fired, next_at: "2027-03-29T00:30:00Z" });
  });

  test("what was missed comes once, also when the server was down, for the first of its times", async () => {
    const { fired } = await row();
    await app.pool.close();
    await app.server.kill();
    clock.set("2027-04-15T12:00:00Z");
    await app.server.start();
    app.connect();
    await show("2027-04-15T12:00:00Z");
    await until({ fired: fired + 1, last_at: "2027-03-29T00:30:00Z", next_at: "2027-04-16T00:30:00Z" });
  });

  test("a clock that was ahead and is put right does not silence a schedule", async () => {
    await show("2029-01-01T00:00:00Z");
    await until({ last_at: "2027-04-16T00:30:00Z" });
    await show("2027-04-15T13:00:00Z");
    await until({ next_at: "2027-04-16T00:30:00Z" });
  });

  test("paused it does not come, and afterwards does not make that good", async () => {
    await set({ paused: true });
    const { fired } = await row();
    await show("2027-04-20T12:00:00Z");
    await sleep(1500);
    expect((await row()).fired).toBe(fired);
    expect(await set({ paused: false })).toMatchObject({ fired, next_at: "2027-04-21T00:30:00Z" });
    expect(await set({ cron: null, time_zone: null })).toMatchObject({ cron: "@yearly", own_cron: null });
  });

  test("is run by hand, not beside itself", async () => {
    (await app.owner.post("/api/v1/queues/default/pause")).expect(200);
    const job = (await app.owner.post(`${SCHEDULES}/noop/run`)).expect(201).data;
    expect(job).toMatchObject({ name: "noop", unique_key: "schedule" });
    refused(await app.owner.post(`${SCHEDULES}/noop/run`), 409);
    const { fired, skipped } = await row();
    await set({ cron: "0 0 1 * *" });
    await show("2027-05-01T00:00:00Z");
    await until({ fired, skipped: skipped + 1, last_at: "2027-05-01T00:00:00Z" });
    (await app.owner.post("/api/v1/queues/default/resume")).expect(200);
    await eventually(async () => expect((await app.owner.get(`/api/v1/jobs/${job.id}`)).status).toBe(404));
  });

  test("its jobs say what they come from", async () => {
    (await app.owner.post("/api/v1/queues/default/pause")).expect(200);
    await show("2027-06-01T00:00:00Z");
    await eventually(async () => {
      const jobs = (await app.owner.get("/api/v1/jobs?filter[name]=noop")).data;
      expect(jobs.map(({ request_id }) => request_id)).toContain("schedule:noop:2027-06-01T00:00:00Z");
    });
    (await app.owner.post("/api/v1/queues/default/resume")).expect(200);
  });

  test("a preview shows the repeated hour: times of day once, passing time twice", async () => {
    const from = "2027-10-30T12:00:00Z";
    expect(await preview("30 2 * * *", "Europe/Berlin", from, 2)).toEqual([
      "2027-10-31T00:30:00Z",
      "2027-11-01T01:30:00Z",
    ]);
    expect(await preview("*/30 2 * * *", "Europe/Berlin", from, 5)).toEqual([
      "2027-10-31T00:00:00Z",
      "2027-10-31T00:30:00Z",
      "2027-10-31T01:00:00Z",
      "2027-10-31T01:30:00Z",
      "2027-11-01T01:00:00Z",
    ]);
    const next = ["schedule", "next", "0 12 29 2 *", "--count", "2", "--from", from];
    const printed = await app.server.command(...next);
    expect(printed.split("\n").map((line) => line.trim())).toEqual([
      "2028-02-29T12:00:00Z",
      "2032-02-29T12:00:00Z",
      "",
    ]);
  });
});
