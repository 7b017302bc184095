// A stand-in for the stores' export server: log-in by form, sessions that expire, files by store and day; it
// misbehaves as `plan` says, one entry a request for a store's file.
import { createServer } from "node:http";

export const USER = "clerk";
export const PASSWORD = "s3cret, with ümlaut & more";

export class Stores {
  plan = new Map(); // store → functions (request, response, file) in place of an answer
  requests = [];
  logins = [];
  sessions = new Set();
  count = 0;
  busy = 0;
  most = 0; // files asked for at one time

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  file(store) {
    return `store_code,no\n${Array.from({ length: 2000 }, (_, i) => `${store},${i}`).join("\n")}\n`;
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    this.requests.push({ method: request.method, path: url.pathname, headers: request.headers });
    if (url.pathname === "/login") return this.login(request, response);
    const store = /^\/x\/([^/]+)\//.exec(url.pathname)?.[1];
    if (!store) return send(response, 404, "text/plain", "no such page");
    const session = /session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
    if (!this.sessions.has(session)) return loginPage(response);
    const special = this.plan.get(store)?.shift();
    this.most = Math.max(this.most, ++this.busy);
    response.once("close", () => this.busy--);
    if (special) await special(request, response, this.file(store), this);
    else this.send(request, response, this.file(store));
  }

  async login(request, response) {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    const form = new URLSearchParams(body);
    this.logins.push(form);
    if (form.get("username") !== USER || form.get("password") !== PASSWORD)
      return send(response, 401, "text/html", "<html>wrong</html>");
    const id = `id${++this.count}`;
    this.sessions.add(id);
    response.writeHead(302, { location: "/home", "set-cookie": [`session=${id}; HttpOnly; Path=/`, "x=1"] });
    response.end();
  }

  // A file with its ETag, and the rest of it where that is asked for.
  send(request, response, text, etag = '"v1"') {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const body = Buffer.from(text);
    const part = from > 0 && request.headers["if-range"] === etag;
    response.writeHead(part ? 206 : 200, {
      "content-type": "text/csv; charset=utf-8",
      etag,
      "content-length": part ? body.length - from : body.length,
      ...(part ? { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` } : {}),
    });
    response.end(part ? body.subarray(from) : body);
  }

  // The first half of what it promises, then the connection ends.
  static cut(etag = '"v1"') {
    return (request, response, text) => {
      const body = Buffer.from(text);
      response.writeHead(200, { "content-type": "text/csv", etag, "content-length": body.length });
      response.write(body.subarray(0, body.length / 2), () => setTimeout(() => response.destroy(), 20));
    };
  }

  static status(code, headers = {}) {
    return (request, response) => send(response, code, "text/plain", "no", headers);
  }

  static page(type = "text/html") {
    return (request, response) => loginPage(response, type);
  }

  static body(type, body) {
    return (request, response) => send(response, 200, type, body);
  }
}

function send(response, status, type, body, headers = {}) {
  response.writeHead(status, { "content-type": type, ...headers });
  response.end(body);
}

const loginPage = (response, type = "text/html") =>
  send(response, 200, type, "\n<!DOCTYPE html><html><form action='/login'></form></html>");
