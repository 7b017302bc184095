// What two programs read differently is how requests are smuggled past a proxy. By raw sockets: each doubtful
// head gets one refusal and a closed connection, and what stands behind it is never answered.
import { afterEach, describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";

const app = useApp();
const SMUGGLED = "GET /healthz?smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const head = (...lines) => `${lines.join("\r\n")}\r\n\r\n`;
const get = (...headers) => head("GET /healthz HTTP/1.1", "Host: a", ...headers);
const post = (...headers) =>
  head("POST /api/v1/auth/login HTTP/1.1", "Host: a", "Content-Type: application/json", ...headers);
const statuses = ({ text }) =>
  [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status));

afterEach(async () => (await app.anonymous.get("/healthz")).expect(200));

test("two good requests on one connection are two answers", async () => {
  expect(statuses(await app.server.raw(get() + get()))).toEqual([200, 200]);
});

describe("a doubtful head is refused once and the connection is closed", () => {
  const CASES = [
    ["a length and chunks", 400, post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n"],
    ["chunks and a length", 400, post("Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n"],
    ["two lengths", 400, post("Content-Length: 0", "Content-Length: 43")],
    ["the same length twice", 400, post("Content-Length: 0", "Content-Length: 0")],
    ["a list of lengths", 400, post("Content-Length: 0, 0")],
    ["a length with a sign", 400, post("Content-Length: +0")],
    ["a negative length", 400, post("Content-Length: -1")],
    ["a hexadecimal length", 400, post("Content-Length: 0x0")],
    ["a length beyond all", [400, 413], post("Content-Length: 99999999999999999999")],
    ["a length of 2^64", [400, 413], post("Content-Length: 18446744073709551616")],
    ["no length but the word", 400, post("Content-Length: ")],
    ["a space before the colon", 400, post("Transfer-Encoding : chunked") + "0\r\n\r\n"],
    ["chunks twice", 400, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n"],
    ["two codings", [400, 501], post("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n"],
    ["an unknown coding", [400, 501], post("Transfer-Encoding: xchunked")],
    ["identity", [400, 501], post("Transfer-Encoding: identity")],
    [
      "chunks by HTTP/1.0",
      400,
      head("POST /api/v1/auth/login HTTP/1.0", "Host: a", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    ],
    ["two hosts", 400, get("Host: b")],
    ["the same host twice", 400, get("Host: a")],
    ["no host", 400, head("GET /healthz HTTP/1.1")],
    ["a host with a space", 400, head("GET /healthz HTTP/1.1", "Host: a b")],
    ["a host with a path", 400, head("GET /healthz HTTP/1.1", "Host: a/b")],
    ["a header name with @", 400, get("X@Y: 1")],
    ["a header name with a space", 400, get("X Y: 1")],
    ["a header name in brackets", 400, get("(X): 1")],
    ["a header name of bytes", 400, get("X\u00e9: 1")],
    ["a control character in a value", 400, get("X-A: a\u0001b")],
    ["a carriage return in a value", 400, get("X-A: a\rContent-Length: 5")],
    ["HTTP/1.9", [400, 505], head("GET /healthz HTTP/1.9", "Host: a")],
    ["HTTP/2.0", [400, 505], head("GET /healthz HTTP/2.0", "Host: a")],
    ["a body on GET", 400, get("Content-Length: 5") + "abcde"],
    ["bytes in the path", 400, head("GET /healthz\u00ff HTTP/1.1", "Host: a")],
    ["a fragment", 400, head("GET /healthz#x HTTP/1.1", "Host: a")],
    ["40 kB of headers", [400, 431], get(`X-A: ${"a".repeat(40_000)}`)],
    ["a thousand headers", [400, 431], get(...Array.from({ length: 1000 }, (_, i) => `X-${i}: a`))],
    ["a path of 40 kB", [400, 414, 431], head(`GET /${"a".repeat(40_000)} HTTP/1.1`, "Host: a")],
  ];
  test.each(CASES)("%s", async (_, wanted, bytes) => {
    const answer = await app.server.raw(Buffer.from(bytes + SMUGGLED, "latin1"), { quiet: 3_000 });
    const got = statuses(answer);
    // The server library writes the head of a refusal of its own twice; whatever is behind is not answered.
    expect(
      got.filter((status) => ![wanted].flat().includes(status)),
      answer.text,
    ).toEqual([]);
    expect(got.length, answer.text).toBeGreaterThan(0);
    expect(answer.closed, "closed").toBe(true);
  });
});

describe("what a path's escapes mean", () => {
  const status = async (path) =>
    statuses(
      await app.server.raw(
        head(
          `GET ${path} HTTP/1.1`,
          "Host: a",
          `Authorization: Bearer ${app.owner.token}`,
          "Connection: close",
        ),
      ),
    )[0];

  test.each([
    ["/api/v1/catalog/TEST-SKU-001", 200],
    ["/api/v1/catalog/%54EST%2dSKU-001", 200],
    ["/api/v1/%63atalog", 200],
    ["/api/v1/catalog%2FTEST-SKU-001", 404],
    ["/api/v1/catalog/TEST%2FSKU", 404],
    ["/api/v1%2Fcatalog", 404],
    ["/api/v1/catalog/../stock", 404],
    ["/api/v1/catalog/%2e%2e/stock", 404],
    ["/api/v1/stock/%2e", 404],
    ["/api/v1/catalog?sort=%73ku", 200],
    ["/api/v1/catalog?sort=sku%00", 400],
    ["/healthz%00/x", 400],
    ["/api/v1/catalog/TEST-SKU-001%00", 400],
    ["/healthz%zz", 400],
    ["/healthz%2", 400],
    ["/%c0%afhealthz", 400],
  ])("%s is %i", async (path, wanted) => {
    expect(await status(path)).toBe(wanted);
  });
});

describe("what cannot be seen as a fault is still read as one request", () => {
  test.each([
    ["a folded coding", post("X-A: a", " Transfer-Encoding: chunked", "Content-Length: 43")],
    ["a fold that glues a coding", post("Transfer-Encodin: chunked", " g: x", "Content-Length: 43")],
    ["a chunk size with a sign", post("Transfer-Encoding: chunked") + "+2b\r\n"],
    ["a chunk size beyond all", post("Transfer-Encoding: chunked") + "fffffffffffffffff\r\n"],
    ["a chunk of nonsense", post("Transfer-Encoding: chunked") + "zz\r\n"],
  ])("%s", async (_, bytes) => {
    const answer = await app.server.raw(Buffer.from(bytes + SMUGGLED, "latin1"), { quiet: 1_500 });
    expect(statuses(answer)).not.toContain(200);
  });

  test("nonsense and another protocol", async () => {
    for (const bytes of [
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
      "\r\n\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "GET\r\n\r\n",
      "\u0000".repeat(500),
    ]) {
      const answer = await app.server
        .raw(Buffer.from(bytes, "latin1"), { quiet: 300, within: 600 })
        .catch(() => ({ text: "" }));
      expect(statuses(answer)).not.toContain(200);
    }
  });

  test("a hundred connections that say nothing do not keep others out", async () => {
    const silent = Array.from({ length: 100 }, () =>
      app.server.raw("GET /healthz HT", { within: 1_500 }).catch(() => null),
    );
    (await app.owner.get("/api/v1/catalog")).expect(200);
    await Promise.all(silent);
  });
});
