// X6: a PostgreSQL that is frozen, not dead: it accepts and never answers. Health says so within a second,
// and requests are refused instead of hanging; all goes on when it thaws.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { App } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { DATABASE, ROOT } from "../lib/folder.js";
import { shipment } from "../lib/webhook.js";

const SECOND = 1_000;
const SLACK = 5 * SECOND; // of a machine that does other things as well; who hangs does so for 40 s
const script = path.join(ROOT, "script/pg");
const app = new App();
let folder;

// The cluster's processes, the postmaster first, so that it starts no more of them.
function cluster() {
  const first = readFileSync(path.join(folder, "data/postmaster.pid"), "utf8").split("\n")[0];
  const others = execFileSync("pgrep", ["-P", first], { encoding: "utf8" }).trim().split("\n");
  return [first, ...others].map(Number);
}
const frozen = [];
function freeze() {
  process.kill(cluster()[0], "SIGSTOP");
  frozen.push(...cluster());
  for (const pid of frozen) process.kill(pid, "SIGSTOP");
}
function thaw() {
  for (const pid of frozen.splice(0)) process.kill(pid, "SIGCONT");
}

afterAll(async () => {
  thaw();
  await app.finish();
  if (!folder) return;
  execFileSync(script, ["stop", folder]);
  rmSync(folder, { recursive: true, force: true });
});

const timed = async (request) => {
  const began = performance.now();
  const answer = await request();
  return { answer, took: performance.now() - began };
};

test.runIf(DATABASE === "postgres")(
  "X6 a frozen database is told within a second, and nobody hangs",
  async () => {
    folder = mkdtempSync(path.join(tmpdir(), "frozen-"));
    const url = execFileSync(script, ["start", folder], { encoding: "utf8" }).trim().split("\n").at(-1);
    await app.launch({ DATABASE_URL: url });
    const sku = await app.item("FROZEN", { stock: 5 });
    const move = { sku, quantity: 1, from: "supplier", to: "warehouse", reason: "receipt" };
    const health = () => app.anonymous.get("/status/health", { checked: false });
    const requests = {
      read: () => app.owner.get("/api/v1/stock"),
      write: () => app.owner.post("/api/v1/stock/moves", move),
      me: () => app.owner.get("/api/v1/auth/me"),
      login: () =>
        app.anonymous.post("/api/v1/auth/login", { email: "a@b.example", password: "no matter which" }),
      webhook: () => app.hook(shipment()),
    };
    for (let round = 1; round <= 3; round++) {
      await sleep(round * 70);
      freeze();
      const began = performance.now();
      const caught = app.owner.post("/api/v1/stock/moves", move); // on its way when it happens
      let status = 200;
      while (status === 200) {
        const { answer, took } = await timed(health);
        expect(took, "health itself hangs").toBeLessThan(SLACK);
        status = answer.status;
        expect(performance.now() - began, "since it froze").toBeLessThan(SECOND + SLACK);
        await sleep(20);
      }
      expect((await health()).expect(503).json).toMatchObject({ db: "unreachable" });
      for (const [name, request] of Object.entries(requests)) {
        const { answer, took } = await timed(request);
        expect({ name, status: answer.status }).toEqual({ name, status: 503 });
        expect(Number(answer.headers["retry-after"]), name).toBeGreaterThan(0);
        expect(took, name).toBeLessThan(SLACK);
      }
      (await app.anonymous.get("/healthz")).expect(200);
      (await app.anonymous.get("/metrics")).expect(200);
      await sleep(2 * SECOND);
      thaw();
      (await caught).expect(201);
      await eventually(async () => (await health()).expect(200));
      (await requests.read()).expect(200);
      (await requests.write()).expect(201);
      expect(await app.onHand(sku)).toBe(5 + 2 * round);
    }
  },
);
