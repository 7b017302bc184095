// X4: every request is answered, however many come in the same instant. The server's threads ask for events
// in fixed numbers; a crowd that is exactly as large as one asks for is the case that matters, and how
// connections fall to threads is chance, so each number is tried.
import { availableParallelism } from "node:os";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../lib/eventually.js";
import { useApp } from "../lib/app.js";

const AT_ONCE = 128;
const THREADS = Math.min(availableParallelism(), 4);
const CROWD = THREADS * AT_ONCE;
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

const app = useApp();
const crowd = [];
let answers = 0;

beforeAll(async () => {
  for (let i = 0; i < CROWD; i++) {
    const socket = connect(app.server.port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("data", (bytes) => (answers += bytes.includes("HTTP/1.1 200") ? 1 : 0));
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    crowd.push(socket);
  }
});
afterAll(() => crowd.forEach((socket) => socket.destroy()));

// While the server is stopped the requests gather, so that it finds all of them at once.
async function allAtOnce(n) {
  answers = 0;
  app.server.child.kill("SIGSTOP");
  await Promise.all(crowd.slice(0, n).map((socket) => new Promise((sent) => socket.write(REQUEST, sent))));
  app.server.child.kill("SIGCONT");
  await eventually(() => expect(answers).toBe(n));
}

test("a crowd of any size at once is answered to the last one", { timeout: 120_000 }, async () => {
  for (let n = CROWD; n >= AT_ONCE; n--) await allAtOnce(n);
});
