// One real server process with a data folder and a database of its own, and the commands beside it.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";
import { newDatabase } from "./database.js";
import { eventually, sleep } from "./eventually.js";
import { BINARY, dropFolder, newFolder } from "./folder.js";

// Production (the default environment) is what is tested; the limits on rates have tests of their own.
export const SECRETS = {
  first: "first-secret-of-the-default-organisation",
  second: "second-secret-of-the-default-organisation",
  bare: "a-secret-without-a-prefix-is-of-the-oldest",
  other: "the-secret-of-the-other-organisation",
};
export const SETTINGS = {
  SECRET_KEY: "tests-only-3f9a-8c1d-77e0-secret-key-of-64-bytes-or-nearly-so-b2",
  JWT_SECRET: "tests-only-5b21-90aa-signs-the-tokens-that-tests-forge-and-check",
  WEBHOOK_SECRETS: [
    `default:${SECRETS.first}`,
    `default:${SECRETS.second}`,
    SECRETS.bare,
    `other-company:${SECRETS.other}`,
  ].join(),
  RATE_LIMIT: "0",
  WEBHOOK_RATE: "0",
};

// Below the range from which the kernel gives ports to connections: one that is free now, and while the
// server is down, is not taken by somebody's connection meanwhile.
function freePort(tries = 50) {
  return new Promise((resolve, reject) => {
    const port = randomInt(10_000, 32_000);
    const probe = createServer();
    probe.once("error", (error) => (tries > 0 ? resolve(freePort(tries - 1)) : reject(error)));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(port)));
  });
}

// Runs a program to its end: {status, signal, stdout, stderr}.
export function run(program, args, { env, cwd, input = "", within = 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, cwd, timeout: within, killSignal: "SIGKILL" });
    const out = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"])
      child[name].setEncoding("utf8").on("data", (text) => (out[name] += text));
    child.once("error", reject);
    child.once("close", (status, signal) => resolve({ status, signal, ...out }));
    child.stdin.on("error", () => {}).end(input);
  });
}

export class Server {
  constructor(settings = {}, folder = newFolder()) {
    this.folder = folder;
    this.database = newDatabase(folder);
    this.env = {
      PATH: process.env.PATH,
      DATABASE_URL: this.database.url,
      ENTREPOT_DATA: folder,
      ...SETTINGS,
      ...settings,
    };
    for (const name of Object.keys(this.env)) if (this.env[name] === null) delete this.env[name];
  }

  async start(args = []) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const log = openSync(this.logFile, "a");
    const options = { env: this.env, cwd: this.folder, stdio: ["ignore", log, log] };
    const child = spawn(
      BINARY,
      ["serve", "--port", String(this.port), "--host", "127.0.0.1", ...args],
      options,
    );
    closeSync(log);
    this.child = child;
    this.exit = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (status, signal) => resolve({ status, signal }));
    });
    let gone = null;
    this.exit.then(
      (exit) => (gone = exit),
      (error) => (gone = error),
    );
    await eventually(
      async () => {
        if (gone) return;
        const answer = await fetch(`${this.url}/status/health`);
        await answer.arrayBuffer();
        if (answer.status !== 200)
          throw new Error(`the server is not healthy: ${answer.status}\n${this.log().slice(-4000)}`);
      },
      { within: 30_000 },
    );
    if (gone)
      throw new Error(`the server ended at its start: ${JSON.stringify(gone)}\n${this.log().slice(-4000)}`);
  }

  get logFile() {
    return path.join(this.folder, "server.log");
  }

  log() {
    return readFileSync(this.logFile, "utf8");
  }

  // Ends the process as an administrator does, and says how it ended.
  async stop(within = 40_000) {
    this.child.kill("SIGTERM");
    const exit = await Promise.race([this.exit, sleep(within, null, { ref: false })]);
    if (exit) return exit;
    await this.kill();
    throw new Error(`the server does not end on SIGTERM\n${this.log().slice(-4000)}`);
  }

  async kill() {
    this.child.kill("SIGKILL");
    return await this.exit;
  }

  // A command with this server's settings; beside the server or, when it does not run, in its own process.
  cli(args, options = {}) {
    const env = { ...this.env, ...options.env };
    return run(BINARY, args, { cwd: this.folder, ...options, env });
  }

  // The same for commands that must succeed; gives what they print.
  async command(...args) {
    const result = await this.cli(args);
    if (result.status !== 0)
      throw new Error(`entrepot ${args.join(" ")}: ${result.status}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  // Writes bytes as they are and gives all that comes back until the server closes or says nothing more.
  raw(bytes, { quiet = 700, within = 10_000 } = {}) {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1", () => socket.write(bytes));
      const chunks = [];
      const end = setTimeout(() => finish(), within);
      let idle;
      const finish = (closed = false) => {
        clearTimeout(end);
        clearTimeout(idle);
        socket.destroy();
        resolve({ text: Buffer.concat(chunks).toString("latin1"), closed });
      };
      socket.on("data", (chunk) => {
        chunks.push(chunk);
        clearTimeout(idle);
        idle = setTimeout(() => finish(), quiet);
      });
      socket.on("end", () => finish(true));
      socket.on("close", () => finish(true));
      socket.on("error", (error) => (chunks.length ? finish(true) : reject(error)));
    });
  }

  async remove() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    this.database.drop();
    dropFolder(this.folder);
  }
}
