// J3: two schedulers on one database fire once, also when the one that leads is killed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { Clock } from "../lib/clock.js";
import { eventually, sleep } from "../lib/eventually.js";
import { DATABASE } from "../lib/folder.js";
import { Server } from "../lib/server.js";

const clock = new Clock("2027-03-01T10:00:30Z");

describe.runIf(DATABASE === "postgres")("J3 two schedulers", () => {
  const first = new App();
  let second;
  const noop = async () => {
    const { stdout } = await first.server.cli(["schedule", "list", "--json"]);
    return JSON.parse(stdout).find(({ name }) => name === "noop");
  };

  beforeAll(async () => {
    await first.launch(clock.settings);
    second = new Server({ ...clock.settings, DATABASE_URL: first.server.env.DATABASE_URL });
    await second.start();
    (await first.owner.patch("/api/v1/schedules/noop", { cron: "*/5 * * * *" })).expect(200);
  }, 60_000);
  afterAll(async () => {
    await second?.remove();
    await first.finish();
  }, 60_000);

  test("changes of different fields at the same moment all stand", async () => {
    const NOOP = "/api/v1/schedules/noop";
    const headers = { authorization: `Bearer ${first.owner.token}`, "content-type": "application/json" };
    const by_second = (change) =>
      fetch(second.url + NOOP, { method: "PATCH", headers, body: JSON.stringify(change) });
    for (let round = 0; round < 30; round++) {
      const cron = `*/5 ${round % 2 ? "*" : "0-23"} * * *`;
      const time_zone = round % 2 ? "Europe/Berlin" : "UTC";
      const [one, two] = await Promise.all([first.owner.patch(NOOP, { cron }), by_second({ time_zone })]);
      expect([one.status, two.status]).toEqual([200, 200]);
      const rows = (await first.owner.get("/api/v1/schedules")).expect(200).data;
      const row = rows.find(({ name }) => name === "noop");
      expect([row.own_cron, row.own_time_zone]).toEqual([cron, time_zone]);
    }
    (await first.owner.patch(NOOP, { cron: "*/5 * * * *", time_zone: null })).expect(200);
  });

  test("each instant once, whoever leads, also after SIGKILL", async () => {
    let last = Date.parse("2027-03-01T10:00:00Z"), fired = 0;
    for (let round = 0; round < 8; round++) {
      last += 300_000;
      clock.set(new Date(last).toISOString());
      if (round === 3 || round === 6) {
        await second.kill();
        await second.start();
      }
      fired++;
      const want = { last_at: new Date(last).toISOString().replace(".000", ""), fired };
      await eventually(async () => expect(await noop()).toMatchObject(want), { within: 40_000, every: 100 });
      await sleep(400);
      expect(await noop()).toMatchObject(want);
    }
    const leads = async (server) => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return /^entrepot_schedules_leader 1$/m.test(text);
    };
    await eventually(async () => {
      expect([await leads(first.server), await leads(second)].filter(Boolean)).toHaveLength(1);
    });
  });
});
