// X4: the error object, the request id, and the refusals that all JSON routes have in common.
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const post = (body, headers) => app.owner.post("/api/v1/catalog", body, { headers });

describe("X4 404 and 405", () => {
  test.each([
    "/api/v1/nothing",
    "/api/v1",
    "/api/v1/",
    "/api/v2/catalog",
    "/nothing",
    "/api/v1/catalog/A/B/C/D/E",
    "/api/v1//catalog",
    "/API/V1/catalog",
    "/api/v1/catalog/",
    "/api/v1/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/api/v1/catalog%2FTEST-SKU-001",
    "/webhooks/nobody",
  ])("%s", async (path) => {
    const answer = await app.owner.get(path, { checked: false });
    expect(refused(answer, 404).code).toMatch(/\S/);
  });

  test("every path says which methods it has", async () => {
    const byPath = Map.groupBy(app.contract.operations(), ({ path }) => path);
    for (const [path, operations] of byPath) {
      const has = operations.map(({ method }) => method.toUpperCase());
      const target = path.replace(/\{[^}]+\}/g, "TEST-SKU-001");
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((m) => !has.includes(m))) {
        const answer = await app.owner.send(method, target, method === "GET" ? undefined : "{}");
        // /catalog/ingest, read, is an item of that name.
        if (answer.status === 404 && target.startsWith("/api/v1/catalog/")) continue;
        refused(answer, 405);
        const allow = answer.headers.allow.split(/, */);
        for (const method of has) expect(allow, `${method} ${path}`).toContain(method);
        expect(allow).not.toContain(method);
      }
    }
  });

  test.each(["BREW", "PROPFIND", "CONNECT", "TRACE"])("the method %s", async (method) => {
    const bytes = `${method} /api/v1/catalog HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const { text } = await app.server.raw(bytes);
    expect(text).toMatch(/^HTTP\/1.1 (400|405|501) /);
  });

  test("HEAD is GET without a body", async () => {
    const answer = await app.owner.send("HEAD", "/api/v1/catalog/TEST-SKU-001");
    expect(answer.expect(200).text).toBe("");
  });

  test("short paths of earlier designs lead to the same", async () => {
    expect((await app.owner.get("/api/catalog")).expect(200).json).toEqual(
      (await app.owner.get("/api/v1/catalog")).json,
    );
    refused(await app.anonymous.get("/api/catalog"), 401);
  });
});

describe("X4 bodies", () => {
  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "application/jsonp",
    "text/json; charset=utf-8",
  ])("Content-Type %s is 415", async (type) => {
    refused(await post(JSON.stringify({ sku: fresh("TYPE") }), { "content-type": type }), 415);
  });

  test.each(["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"])(
    "Content-Type %s is taken",
    async (type) => {
      (await post(JSON.stringify({ sku: fresh("TYPE") }), { "content-type": type })).expect(201);
    },
  );

  test.each(
    [
      "",
      "{",
      '{"sku":}',
      '{"sku":"A"',
      '{"sku":"A",}',
      '{"sku":"A"}x',
      "{'sku':'A'}",
      "nul",
      '{"sku":"\\x"}',
      '{"sku":"A" "name":"B"}',
      "[".repeat(100_00),
      '{"attributes":'.repeat(200),
      '{"sku":"\t"}',
      '\ufeff{"sku":"A"}',
    ].map((body) => [JSON.stringify(body).slice(0, 30), body]),
  )("%s is 400", async (_, body) => {
    refused(await post(body), 400);
  });

  test("a key twice is 400 or names the field, and makes nothing", async () => {
    const sku = fresh("TWICE");
    const answer = await post(`{"sku":"${sku}","name":"a","name":"b"}`);
    expect([400, 422]).toContain(answer.status);
    refused(await app.owner.get(`/api/v1/catalog/${sku}`), 404);
  });

  const CHUNKED = (body) =>
    `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const LENGTH = (body) => `Content-Length: ${body.length}\r\n\r\n${body}`;
  test.each([
    ["70 kB with a length", 70_000, LENGTH, 413],
    ["70 kB in a chunk", 70_000, CHUNKED, 413],
    // A sender that still writes when the connection is closed may miss the answer.
    ["2 MB with a length", 2_000_000, LENGTH, 413, "cut off"],
    ["2 MB in a chunk", 2_000_000, CHUNKED, 413, "cut off"],
  ])("a body that is too large: %s", async (_, size, frame, ...wanted) => {
    const body = JSON.stringify({ sku: "LARGE", description: "x".repeat(size) });
    const head = `POST /api/v1/catalog HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${app.owner.token}\r\n`;
    const answer = app.server.raw(`${head}Content-Type: application/json\r\n${frame(body)}`);
    const { text } = await answer.catch(() => ({ text: "" }));
    expect(wanted).toContain(text === "" ? "cut off" : Number(text.slice(9, 12)));
    refused(await app.owner.get("/api/v1/catalog/LARGE"), 404);
  });

  test("chunks are as good as a length", async () => {
    const sku = fresh("CHUNKS");
    async function* chunks() {
      for (const c of JSON.stringify({ sku, name: "piece by piece" })) yield Buffer.from(c);
    }
    (await app.owner.post("/api/v1/catalog", chunks())).expect(201);
  });
});

describe("X4 the request id", () => {
  const id = async (value, target = "/api/v1/catalog") =>
    (await app.owner.get(target, { headers: { "X-Request-ID": value }, checked: false })).headers[
      "x-request-id"
    ];

  test.each(["a", "0", "abc-DEF_123.4", "6f1c1a38-2f0e-4e1b-9d3b-0d6a6c0b1f52", "x".repeat(64)])(
    "%s is taken",
    async (value) => {
      expect(await id(value)).toBe(value);
    },
  );

  test.each(["x".repeat(65), "a b", "a\tb", "<script>", 'a"b', "a;b", "{}", "a\\b", "%0d%0a"])(
    "%s is not",
    async (value) => {
      const made = await id(value);
      expect(made).not.toBe(value);
      expect(made).toMatch(/^[\w.-]{1,64}$/);
    },
  );

  test("is on every answer, and made ones differ", async () => {
    const answers = [
      await app.owner.get("/api/v1/catalog"),
      await app.owner.get("/api/v1/catalog/NOPE"),
      await app.anonymous.get("/nothing"),
      await app.anonymous.get("/healthz"),
      await app.anonymous.get("/status/health"),
      await app.anonymous.get("/metrics"),
      await app.anonymous.get("/openapi.json"),
      await app.anonymous.get("/"),
      await app.hook(shipment()),
      await app.hook("{"),
      await app.anonymous.get("/api/v1/auth/me"),
      await app.owner.put("/api/v1/catalog", "{}"),
    ];
    const ids = answers.map((answer) => answer.headers["x-request-id"]);
    for (const value of ids) expect(value).toMatch(/^[\w.-]{1,64}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("travels with what it caused", async () => {
    const event = shipment();
    (await app.hook(event, { headers: { "X-Request-ID": "my-own-request-1" } })).expect(200);
    expect((await app.delivery(`${event.shipmentId}:shipped`)).request_id).toBe("my-own-request-1");
    refused(await app.hook("{", { headers: { "X-Request-ID": "my-own-request-2" } }), 400);
    expect(app.server.log()).toContain('"request_id":"my-own-request-2"');
  });
});

describe("X6 the log", () => {
  test("is JSON lines; refusals are lines; secrets and passwords are not", async () => {
    await app.anonymous.post("/api/v1/auth/login", {
      email: "owner@default.example",
      password: "pa55word-in-a-log?",
    });
    await app.anonymous.get("/api/v1/auth/me", { headers: { "X-Request-ID": "refused-one" } });
    const lines = app.server.log().split("\n").slice(0, -1);
    for (const line of lines) expect(() => JSON.parse(line), line).not.toThrow();
    const refusal = lines
      .map((line) => JSON.parse(line))
      .find((line) => JSON.stringify(line).includes("refused-one"));
    expect(JSON.stringify(refusal)).toContain("401");
    for (const secret of [
      "pa55word-in-a-log?",
      app.owner.token,
      ...Object.values(app.server.env).filter((v) => v.length > 60),
    ])
      expect(lines.join("\n")).not.toContain(secret);
  });
});
