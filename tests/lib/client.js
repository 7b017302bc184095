// A caller of one server: sends requests as one user and checks every JSON answer against the contract.
import { Pool } from "undici";

const CHECKED = /^\/(api\/v1|webhooks|status)\//;

const isStream = (body) => Boolean(body?.[Symbol.asyncIterator]);

export class Client {
  constructor(app, { token = null, user = null, expires_at = null } = {}) {
    Object.assign(this, { app, token, user, expires_at });
  }

  get = (target, options) => this.send("GET", target, undefined, options);
  post = (target, body, options) => this.send("POST", target, body, options);
  put = (target, body, options) => this.send("PUT", target, body, options);
  patch = (target, body, options) => this.send("PATCH", target, body, options);
  delete = (target, options) => this.send("DELETE", target, undefined, options);

  // body: a text or bytes go as they are, a stream in chunks, anything else as JSON. Headers set to null are
  // left out, lists are sent one by one.
  async send(method, target, body, { headers = {}, checked = true } = {}) {
    const plain = body === undefined || typeof body === "string" || Buffer.isBuffer(body) || isStream(body);
    const all = {
      authorization: this.token && `Bearer ${this.token}`,
      "content-type": "application/json",
      ...headers,
    };
    if (body === undefined && !("content-type" in headers)) all["content-type"] = null;
    const answer = await this.app.pool.request({
      method,
      path: target,
      body: plain ? body : JSON.stringify(body),
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)),
    });
    const text = await answer.body.text();
    const type = answer.headers["content-type"];
    if (checked && CHECKED.test(target) && method !== "HEAD")
      this.app.contract.check({ method, target, status: answer.statusCode, type, text });
    return new Answer(answer.statusCode, answer.headers, text);
  }

  // All rows of a list, page by page.
  async all(list) {
    const rows = [];
    const first = `${list}${list.includes("?") ? "&" : "?"}page_size=500`;
    for (let cursor = ""; cursor !== null;) {
      const target = cursor ? `${first}&cursor=${encodeURIComponent(cursor)}` : first;
      const answer = (await this.get(target)).expect(200);
      rows.push(...answer.data);
      cursor = answer.json.page.next_cursor;
    }
    return rows;
  }
}

export class Answer {
  constructor(status, headers, text) {
    Object.assign(this, { status, headers, text });
  }

  get json() {
    return JSON.parse(this.text);
  }
  get data() {
    return this.json.data;
  }
  get error() {
    return this.json.error;
  }
  get fields() {
    return this.error.details.map(({ field }) => field);
  }

  // The answer itself if it has this status; else an error that shows what came instead.
  expect(status) {
    if (this.status !== status)
      throw new Error(`expected ${status}, but the answer is ${this.status}: ${this.text}`, {
        cause: this.headers,
      });
    return this;
  }
}

export const newPool = (url) => new Pool(url, { connections: 128, pipelining: 1, keepAliveTimeout: 4_000 });
