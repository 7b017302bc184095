// J1, J5: jobs as people see them: priorities, delays, progress, cancelling, dead letters, queues.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";

const app = useApp();
const JOBS = "/api/v1/jobs";

const enqueue = async (body, client = app.owner) => (await client.post(JOBS, body)).expect(201).data;
const look = async (job) => (await app.owner.get(`${JOBS}/${job.id}`)).expect(200).data;
const becomes = (job, state, within = 30_000) =>
  eventually(
    async () => {
      const now = await look(job);
      expect(now.state).toBe(state);
      return now;
    },
    { within },
  );
const isGone = (job) =>
  eventually(async () => expect((await app.owner.get(`${JOBS}/${job.id}`)).status).toBe(404));
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

describe("J1 one job", () => {
  test("runs, and its row goes", async () => isGone(await enqueue({ name: "noop" })));

  test("keeps what came of it when its type says so", async () => {
    const done = await becomes(await enqueue({ name: "wait", args: { seconds: 0 } }), "done");
    expect(done).toMatchObject({ result: { waited: true }, attempts: 1, cancel_asked: false });
    expect(done.finished_at).not.toBeNull();
  });

  test("carries the request id of its cause", async () => {
    const headers = { "x-request-id": "correlation-17" };
    const job = (await app.owner.post(JOBS, { name: "noop", due_at: inAnHour() }, { headers })).data;
    expect(job.request_id).toBe("correlation-17");
  });

  test("waits until it is due", async () => {
    expect((await enqueue({ name: "noop", due_at: inAnHour() })).state).toBe("waiting");
    const due_at = new Date(Date.now() + 1500).toISOString();
    const job = await enqueue({ name: "wait", args: { seconds: 0 }, due_at });
    const { finished_at } = await becomes(job, "done");
    expect(Date.parse(finished_at)).toBeGreaterThanOrEqual(Date.parse(due_at));
  });

  test("refuses types that are not for people, and wrong values", async () => {
    refused(await app.owner.post(JOBS, { name: "inbox.apply" }), 422, "name");
    refused(await app.owner.post(JOBS, { name: "noop", args: [] }), 422, "args");
    refused(await app.owner.post(JOBS, { name: "noop", due_at: "soon" }), 422, "due_at");
    refused(await app.owner.post(JOBS, { name: "wait" }), 422, "args.seconds");
    refused(await app.owner.post(JOBS, { name: "wait", args: { seconds: -1 } }), 422, "args.seconds");
    refused(await app.owner.post(JOBS, { name: "wait", args: { minutes: 1 } }), 422);
    const job = await enqueue({ name: "wait", args: { seconds: 1 }, due_at: inAnHour() });
    refused(await app.owner.patch(`${JOBS}/${job.id}`, { args: { seconds: "x" } }), 422, "args.seconds");
  });

  test("is one of its unique key while it lives", async () => {
    const job = await enqueue({ name: "noop", unique_key: "only", due_at: inAnHour() });
    refused(await app.owner.post(JOBS, { name: "noop", unique_key: "only" }), 409);
    (await app.owner.post(`${JOBS}/${job.id}/cancel`)).expect(200);
    await isGone(await enqueue({ name: "noop", unique_key: "only" }));
  });

  test("is not another organisation's to see or to change", async () => {
    const job = await enqueue({ name: "noop", due_at: inAnHour() });
    const other = await app.other();
    for (const answer of [
      await other.get(`${JOBS}/${job.id}`),
      await other.post(`${JOBS}/${job.id}/cancel`),
      await other.post(`${JOBS}/${job.id}/retry`),
      await other.patch(`${JOBS}/${job.id}`, { args: {} }),
      await other.delete(`${JOBS}/${job.id}`),
    ])
      refused(answer, 404);
    expect((await look(job)).state).toBe("waiting");
  });
});

describe("J1 progress, cancelling, limits", () => {
  test("progress is seen while it runs", async () => {
    const job = await enqueue({ name: "wait", args: { seconds: 600 } });
    await eventually(async () => {
      const { state, progress_done, progress_total, progress_text } = await look(job);
      expect({ state, progress_total, progress_text }).toEqual({
        state: "running",
        progress_total: 600,
        progress_text: "waiting",
      });
      expect(progress_done).toBeGreaterThan(0);
    });
    (await app.owner.post(`${JOBS}/${job.id}/cancel`)).expect(200);
    await becomes(job, "cancelled");
  });

  test("one that runs breaks off when it is cancelled, and can go again", async () => {
    const job = await enqueue({ name: "wait", args: { seconds: 600 } });
    await becomes(job, "running");
    const told = (await app.owner.post(`${JOBS}/${job.id}/cancel`)).expect(200).data;
    expect(told).toMatchObject({ state: "running", cancel_asked: true });
    const after = await becomes(job, "cancelled");
    expect(after.last_error).toMatch(/^cancelled/);
    (await app.owner.patch(`${JOBS}/${job.id}`, { args: { seconds: 0 } })).expect(200);
    expect((await app.owner.post(`${JOBS}/${job.id}/retry`)).expect(200).data.cancel_asked).toBe(false);
    await becomes(job, "done");
  });

  test("one that waits is cancelled at once, and says by whom", async () => {
    const job = await enqueue({ name: "noop", due_at: inAnHour() });
    const told = (await app.owner.post(`${JOBS}/${job.id}/cancel`)).expect(200).data;
    expect(told).toMatchObject({ state: "cancelled", last_error: "cancelled: By owner@default.example." });
    refused(await app.owner.post(`${JOBS}/${job.id}/cancel`), 409);
  });
});

describe("J1 dead letters", () => {
  test("are seen with their reason, edited, replayed, dropped", async () => {
    // Good arguments of a sheet that nobody has: only the job itself can find that out.
    const job = await enqueue({ name: "smartsheet.webhooks", args: { sheet_id: 42 } });
    const dead = await becomes(job, "dead");
    expect(dead.last_error).toMatch(/^not-found: .*scan=42/);
    refused(await app.owner.patch(`${JOBS}/${job.id}`, { args: 7 }), 422, "args");
    const edited = (await app.owner.patch(`${JOBS}/${job.id}`, { args: {} })).expect(200).data;
    expect(edited).toMatchObject({ state: "dead", args: {} });
    (await app.owner.post(`${JOBS}/${job.id}/retry`)).expect(200);
    await isGone(job);
    const other = await enqueue({ name: "smartsheet.webhooks", args: { sheet_id: 43 } });
    await becomes(other, "dead");
    (await app.owner.delete(`${JOBS}/${other.id}`)).expect(204);
    refused(await app.owner.get(`${JOBS}/${other.id}`), 404);
  });

  test("what runs is neither edited nor dropped", async () => {
    const job = await enqueue({ name: "wait", args: { seconds: 600 } });
    await becomes(job, "running");
    refused(await app.owner.patch(`${JOBS}/${job.id}`, { args: { seconds: 1 } }), 409);
    refused(await app.owner.delete(`${JOBS}/${job.id}`), 409);
    (await app.owner.post(`${JOBS}/${job.id}/cancel`)).expect(200);
    await becomes(job, "cancelled");
  });
});

describe("J5 queues", () => {
  const QUEUE = "/api/v1/queues/default";
  const queue = async (client = app.owner) =>
    (await client.get("/api/v1/queues")).expect(200).data.find(({ name }) => name === "default");

  test("a paused queue begins nothing of the organisation's, others go on, resumed it does all", async () => {
    (await app.owner.post(`${QUEUE}/pause`)).expect(200);
    expect((await queue()).state).toBe("paused");
    const jobs = [];
    for (let i = 0; i < 20; i++) jobs.push(await enqueue({ name: "noop" }));
    await eventually(async () => expect((await queue()).set_aside).toBe(20));
    expect(await look(jobs[7])).toMatchObject({ state: "paused", attempts: 0 });
    const other = await app.other();
    const theirs = await enqueue({ name: "noop" }, other);
    await eventually(async () => expect((await other.get(`${JOBS}/${theirs.id}`)).status).toBe(404));
    expect((await queue()).set_aside).toBe(20);
    (await app.owner.post(`${JOBS}/${jobs[0].id}/cancel`)).expect(200);
    expect((await app.owner.post(`${QUEUE}/resume`)).expect(200).data.state).toBe("resuming");
    for (const job of jobs.slice(1)) await isGone(job);
    await eventually(async () => expect(await queue()).toMatchObject({ state: "open", set_aside: 0 }));
    expect((await look(jobs[0])).state).toBe("cancelled");
  });

  test("smaller priorities go first", async () => {
    (await app.owner.post(`${QUEUE}/pause`)).expect(200);
    const jobs = [];
    for (const priority of [5, -5, 0, 9, -9])
      jobs.push(await enqueue({ name: "wait", args: { seconds: 0 }, priority }));
    await eventually(async () => expect((await queue()).set_aside).toBe(5));
    await app.server.command("jobs", "limit", "default", "1");
    (await app.owner.post(`${QUEUE}/resume`)).expect(200);
    for (const job of jobs) await becomes(job, "done");
    const done = await Promise.all(jobs.map(look));
    done.sort((a, b) => (a.finished_at < b.finished_at ? -1 : 1));
    expect(done.map(({ priority }) => priority)).toEqual([-9, -5, 0, 5, 9]);
    await app.server.command("jobs", "limit", "default");
  });

  test("the operator's limit holds", async () => {
    await app.server.command("jobs", "limit", "default", "1");
    const jobs = [];
    for (let i = 0; i < 4; i++) jobs.push(await enqueue({ name: "wait", args: { seconds: 1 } }));
    const seen = new Set();
    await eventually(
      async () => {
        const states = (await Promise.all(jobs.map(look))).map(({ state }) => state);
        seen.add(states.filter((state) => state === "running").length);
        expect(states).toEqual(["done", "done", "done", "done"]);
      },
      { every: 100 },
    );
    expect(Math.max(...seen)).toBe(1);
    expect((await queue()).concurrency).toBe(1);
    await app.server.command("jobs", "limit", "default");
    expect((await queue()).concurrency).toBeNull();
  });

  test("the operator pauses for all, and commands show it", async () => {
    expect(await app.server.command("jobs", "pause", "default")).toContain("paused for all");
    const job = await enqueue({ name: "noop" });
    await sleep(300);
    expect((await look(job)).state).toBe("ready");
    expect(await queue()).toMatchObject({ held_by_operator: true, state: "open", ready: 1 });
    expect((await queue()).oldest_ready).not.toBeNull();
    expect(await app.server.command("jobs", "queues")).toContain("paused for all");
    await app.server.command("jobs", "resume", "default");
    await isGone(job);
  });

  test("a queue that nobody has is not there", async () => {
    refused(await app.owner.post("/api/v1/queues/none/pause"), 404);
    const { status, stderr } = await app.server.cli(["jobs", "pause", "none"]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: "entrepot: There is no such queue.\n" });
  });

  test("commands cancel, and say what they did", async () => {
    const job = await enqueue({ name: "noop", due_at: inAnHour() });
    expect(await app.server.command("jobs", "cancel", job.id)).toBe("Cancelled.\n");
    expect((await look(job)).state).toBe("cancelled");
  });
});
