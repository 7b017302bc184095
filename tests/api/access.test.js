// X3: every route × role × {own, other organisation, no token}, generated from /openapi.json.
import { beforeAll, describe, expect, test } from "vitest";
import { ROLES, accessOf } from "../lib/access.js";
import { useApp } from "../lib/app.js";
import { refused } from "../lib/refused.js";

const app = useApp();
const ABSENT = "00000000-0000-7000-8000-000000000000";
const fill = (path) => path.replace(/\{[^}]+\}/g, ABSENT);
const closed = () =>
  app.contract.operations().filter(({ method, path }) => accessOf(method, path)?.area !== "open");

describe("X3 who may do what", () => {
  test("every route has an area in the table of the requirements", () => {
    const missing = app.contract.operations().filter(({ method, path }) => !accessOf(method, path));
    expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
    expect(closed().length).toBeGreaterThan(25);
  });

  test("x-access of every route is what the table says", () => {
    const says = {},
      should = {};
    for (const { method, path, operation } of closed()) {
      says[`${method} ${path}`] = operation["x-access"];
      const { allowed } = accessOf(method, path);
      should[`${method} ${path}`] = Object.fromEntries(
        ROLES.map((role) => [role, allowed[role] ? "allow" : "deny"]),
      );
    }
    expect(says).toEqual(should);
  });

  test("nothing but the open routes answers without a token", async () => {
    for (const { method, path } of closed())
      refused(
        await app.anonymous.send(method.toUpperCase(), fill(path), method === "get" ? undefined : "{}"),
        401,
      );
  });

  test("the operator's routes are not on the network", async () => {
    for (const path of ["/operator/seed", "/operator/users", "/operator/organisations", "/operator/jobs"])
      for (const method of ["GET", "POST"])
        expect([401, 403, 404, 405]).toContain(
          (await app.owner.send(method, path, method === "POST" ? "{}" : undefined)).status,
        );
  });

  describe.each(["own", "other"])("in the %s organisation", (where) => {
    describe.each(ROLES)("as %s", (role) => {
      let client;
      beforeAll(async () => (client = await (where === "own" ? app.as(role) : app.other(role))));

      // Bodies are empty and ids name nothing: what is allowed ends in another error, or in a list.
      test("each route lets in or refuses", async () => {
        const wrong = [];
        for (const { method, path } of closed()) {
          // Log-out would end the token of all the others.
          const caller = path.endsWith("/logout") ? await app.login(client.user.email) : client;
          const { status } = await caller.send(
            method.toUpperCase(),
            fill(path),
            method === "get" ? undefined : "{}",
          );
          const allowed = accessOf(method, path).allowed[role];
          if ((status === 403) === allowed || status === 401 || status >= 500)
            wrong.push(`${method} ${path}: ${status}, but ${role} is ${allowed ? "allowed" : "denied"}`);
        }
        expect(wrong).toEqual([]);
      });
    });
  });

  test("a role is refused before its body is looked at", async () => {
    const viewer = await app.as("viewer");
    for (const body of ["{", "{}", JSON.stringify({ sku: "TEST-SKU-001" })])
      refused(await viewer.post("/api/v1/catalog", body), 403);
    refused(await app.anonymous.post("/api/v1/catalog", "{"), 401);
  });
});
