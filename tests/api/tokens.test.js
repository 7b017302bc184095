// X3: log-in, and tokens that must not hold.
import { describe, expect, test } from "vitest";
import { PASSWORD, useApp } from "../lib/app.js";
import { Client } from "../lib/client.js";
import { eventually } from "../lib/eventually.js";
import { claims, forge, header } from "../lib/jwt.js";
import { refused } from "../lib/refused.js";
import { SETTINGS } from "../lib/server.js";

const app = useApp();
const ME = "/api/v1/auth/me";
const login = (body, a = app) => a.anonymous.post("/api/v1/auth/login", body);
const OWNER = "owner@default.example";

describe("X3 log-in", () => {
  test("gives a token, when it ends, and who one is", async () => {
    const answer = await login({ email: OWNER, password: PASSWORD });
    const { token, expires_at, user } = answer.expect(200).data;
    expect(user).toMatchObject({
      email: OWNER,
      role: "owner",
      organisation: { slug: "default", name: "Default" },
    });
    expect(Math.abs(Date.parse(expires_at) - Date.now() - 24 * 3600_000)).toBeLessThan(60_000);
    expect((await new Client(app, { token }).get(ME)).expect(200).data).toMatchObject({
      id: user.id,
      email: OWNER,
    });
    expect(answer.headers["cache-control"]).toMatch(/no-store/);
  });

  test("does not look at the case of the address", async () => {
    (await login({ email: OWNER.toUpperCase(), password: PASSWORD })).expect(200);
  });

  test("tells a wrong password from an unknown address by nothing", async () => {
    const wrong = refused(await login({ email: OWNER, password: "wrong wrong wrong" }), 401);
    const unknown = refused(await login({ email: "nobody@default.example", password: PASSWORD }), 401);
    expect({ ...wrong, request_id: 0 }).toEqual({ ...unknown, request_id: 0 });
  });

  test.each([
    [["email", "password"], {}],
    [["password"], { email: OWNER }],
    [["email"], { password: PASSWORD }],
    [["email"], { email: 5, password: PASSWORD }],
    [["password"], { email: OWNER, password: null }],
    [["admin"], { email: OWNER, password: PASSWORD, admin: true }],
  ])("%s: %j is 422", async (fields, body) => {
    refused(await login(body), 422, ...fields);
  });

  test("ends with log-out", async () => {
    const client = await app.login(OWNER);
    (await client.get(ME)).expect(200);
    expect((await client.post("/api/v1/auth/logout")).status).toBeLessThan(300);
    await eventually(async () => refused(await client.get(ME), 401));
    (await app.owner.get(ME)).expect(200);
  });
});

describe("X3 log-in is throttled", () => {
  const throttled = useApp();

  test("an account waits after many failures, even with the right password; others do not", async () => {
    const other = await throttled.as("clerk");
    let last;
    for (let i = 0; i < 60 && last?.status !== 429; i++) {
      last = await login({ email: OWNER, password: `wrong password ${i}` }, throttled);
      expect([401, 429]).toContain(last.status);
    }
    refused(last, 429);
    expect(Number(last.headers["retry-after"])).toBeGreaterThan(0);
    refused(await login({ email: OWNER, password: PASSWORD }, throttled), 429);
    (await login({ email: other.user.email, password: PASSWORD }, throttled)).expect(200);
    (await throttled.owner.get(ME)).expect(200);
  });
});

describe("X3 a token", () => {
  test("is a JWT by HS256 for 24 hours with sub, org_id and roles", () => {
    expect(header(app.owner.token).alg).toBe("HS256");
    const { sub, org_id, roles, iat, exp } = claims(app.owner.token);
    expect({ sub, org_id, roles }).toEqual({
      sub: app.owner.user.id,
      org_id: app.owner.user.organisation.id,
      roles: ["owner"],
    });
    expect(exp - iat).toBe(24 * 3600);
  });

  const HEAD = { alg: "HS256", typ: "JWT" };
  const now = Math.floor(Date.now() / 1000);
  const own = (changes = {}, { secret = SETTINGS.JWT_SECRET, head = HEAD, hash } = {}) =>
    forge(head, { ...claims(app.owner.token), ...changes }, secret, hash);
  const [h, p, s] = [0, 1, 2].map((i) => () => app.owner.token.split(".")[i]);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

  test("that is forged with the right key holds: the others fail for their own reasons", async () => {
    (await new Client(app, { token: own() }).get(ME)).expect(200);
  });

  const FORGED = [
    ["expired", () => own({ iat: now - 90_000, exp: now - 3_600 })],
    ["just expired", () => own({ exp: now - 62 })],
    ["without an end", () => own({ exp: undefined })],
    ["with an end that is a text", () => own({ exp: String(now + 3600) })],
    ["issued in the future", () => own({ iat: now + 600, exp: now + 7200 })],
    ["not valid yet", () => own({ nbf: now + 600 })],
    ["for another audience", () => own({ aud: "another-service" })],
    ["of another issuer", () => own({ iss: "another-service" })],
    ["of a user that is not there", () => own({ sub: "00000000-0000-7000-8000-000000000000" })],
    ["of an organisation that is not there", () => own({ org_id: "00000000-0000-7000-8000-000000000000" })],
    ["signed with another secret", () => own({}, { secret: "another secret of more than thirty-two bytes" })],
    ["signed with SECRET_KEY", () => own({}, { secret: SETTINGS.SECRET_KEY })],
    ["signed with an empty secret", () => own({}, { secret: "" })],
    ["by HS512", () => own({}, { head: { alg: "HS512", typ: "JWT" }, hash: "sha512" })],
    ["that says HS512 and is HS256", () => own({}, { head: { alg: "HS512", typ: "JWT" } })],
    ["by none, without signature", () => `${encode({ alg: "none" })}.${p()}.`],
    ["by None, with signature", () => `${encode({ alg: "None", typ: "JWT" })}.${p()}.${s()}`],
    ["by RS256", () => own({}, { head: { alg: "RS256", typ: "JWT" } })],
    ["without an algorithm", () => own({}, { head: { typ: "JWT" } })],
    ["with a key of its own", () => own({}, { head: { ...HEAD, jwk: { kty: "oct", k: "AAAA" } } })],
    ["with a critical extension", () => own({}, { head: { ...HEAD, crit: ["exp"] } })],
    [
      "with other claims under the same signature",
      () => `${h()}.${encode({ ...claims(app.owner.token), sub: "x" })}.${s()}`,
    ],
    ["with its signature cut", () => app.owner.token.slice(0, -4)],
    ["without its signature", () => `${h()}.${p()}.`],
    ["of two parts", () => `${h()}.${p()}`],
    ["of four parts", () => `${app.owner.token}.${s()}`],
    ["that is no JSON", () => forge("nonsense", "nonsense", SETTINGS.JWT_SECRET)],
    ["of nonsense", () => "nonsense"],
    ["of 10 kB", () => "x".repeat(10_000)],
  ];
  test.each(FORGED)("%s is 401", async (_, make) => {
    refused(await new Client(app, { token: make() }).get(ME), 401);
  });

  test.each([
    ["nothing", () => null],
    ["an empty header", () => ""],
    ["Bearer alone", () => "Bearer"],
    ["Bearer and a space", () => "Bearer "],
    ["the token alone", () => app.owner.token],
    ["Basic", () => `Basic ${app.owner.token}`],
    ["two tokens", () => `Bearer ${app.owner.token} ${app.owner.token}`],
    ["two headers", () => [`Bearer ${app.owner.token}`, `Bearer ${app.owner.token}`]],
  ])("sent as %s is 401", async (_, make) => {
    const answer = await app.anonymous.get(ME, { headers: { authorization: make() } });
    expect([400, 401]).toContain(answer.status);
    if (answer.status === 401) expect(answer.headers["www-authenticate"] ?? "Bearer").toMatch(/^Bearer/);
  });

  test("in the query does not count", async () => {
    refused(await app.anonymous.get(`${ME}?token=${app.owner.token}&access_token=${app.owner.token}`), 401);
  });

  test("the scheme has no case", async () => {
    (await app.anonymous.get(ME, { headers: { authorization: `bearer ${app.owner.token}` } })).expect(200);
  });
});
