// X4 X6: health, metrics, the API's own description, the start page.
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { shipment } from "../lib/webhook.js";

const app = useApp();

describe("X6 health and metrics", () => {
  test.each(["/status/health", "/health"])("%s tells of every part", async (path) => {
    const answer = (await app.anonymous.get(path)).expect(200);
    expect(answer.json).toMatchObject({ status: "ok", service: "entrepot", db: "connected" });
  });

  test("/healthz tells of the process alone", async () => {
    expect((await app.anonymous.get("/healthz")).expect(200).json).toMatchObject({
      status: "ok",
      service: "entrepot",
    });
  });

  test("/metrics is Prometheus text, and counts", async () => {
    const read = async () => {
      const answer = (await app.anonymous.get("/metrics")).expect(200);
      expect(answer.headers["content-type"]).toMatch(/^text\/plain/);
      return answer.text;
    };
    const before = await read();
    (await app.hook(shipment())).expect(200);
    await app.settled();
    const after = await read();
    for (const line of after.trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? (-?[0-9.e+-]+|[+-]?(Inf|NaN)))$/,
      );
    expect(after).not.toBe(before);
    expect(after).toMatch(/webhooks\/shipstation/);
    const series = after
      .split("\n")
      .filter((line) => line && !line.startsWith("#"))
      .map((line) => line.replace(/ [^ ]*$/, ""));
    expect(new Set(series).size).toBe(series.length);
  });
});

describe("X4 /openapi.json", () => {
  test("is valid OpenAPI 3.1", async () => {
    const document = structuredClone(app.contract.document);
    expect(document.openapi).toMatch(/^3\.1\./);
    const result = await new Validator({ strict: true }).validate(document);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  test("describes each operation: what it is, what it takes, what it answers", () => {
    const ids = new Set();
    for (const { method, path, operation } of app.contract.operations()) {
      const what = `${method} ${path}`;
      expect(operation.summary ?? operation.description, what).toMatch(/\S/);
      expect(
        Object.keys(operation.responses).some((status) => /^[23]/.test(status)),
        what,
      ).toBe(true);
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      const told = (operation.parameters ?? []).filter((p) => p.in === "path").map((p) => p.name);
      expect(told.sort(), what).toEqual(inPath.sort());
      if (operation.operationId) {
        expect(ids.has(operation.operationId), operation.operationId).toBe(false);
        ids.add(operation.operationId);
      }
    }
  });

  test("its schemas compile, every answer and every body", () => {
    for (const { method, path, operation } of app.contract.operations()) {
      for (const status of Object.keys(operation.responses))
        expect(
          () => app.contract.validator(path, method, status),
          `${method} ${path} ${status}`,
        ).not.toThrow();
      const body = app.contract.alone.paths[path][method].requestBody?.content?.["application/json"]?.schema;
      if (body) expect(() => app.contract.ajv.compile(body), `${method} ${path}`).not.toThrow();
    }
  });

  test("names the routes of interfaces.md", () => {
    const has = app.contract
      .operations()
      .map(({ method, path }) => `${method} ${path.replace(/\{[^}]+\}/g, "{}")}`);
    for (const wanted of [
      "post auth/login",
      "post auth/logout",
      "get auth/me",
      "post organisations",
      "get organisations",
      "get users",
      "post users",
      "get users/{}",
      "patch users/{}",
      "delete users/{}",
      "get catalog",
      "post catalog",
      "get catalog/{}",
      "patch catalog/{}",
      "post catalog/ingest",
      "get catalog/exceptions",
      "get catalog/exceptions/counts",
      "get catalog/exceptions/{}",
      "get catalog/exceptions/export",
      "get catalog/uploads",
      "post catalog/uploads",
      "get catalog/uploads/rows",
      "get catalog/uploads/template",
      "get catalog/uploads/{}",
      "post catalog/uploads/{}/apply",
      "delete catalog/uploads/{}",
      "patch catalog/exceptions/{}",
      "post catalog/exceptions/{}/replay",
      "post catalog/exceptions/{}/dismiss",
      "get catalog/exceptions/runs",
      "post catalog/exceptions/runs",
      "get catalog/exceptions/runs/{}",
      "get stock",
      "post stock/moves",
      "get stock/moves",
      "get places",
      "post places",
      "get places/{}",
      "patch places/{}",
      "delete places/{}",
      "get orders",
      "get orders/{}",
      "get deliveries",
      "get deliveries/{}",
      "get jobs",
      "get jobs/{}",
      "delete jobs/{}",
      "post jobs/{}/retry",
    ])
      expect(has).toContain(wanted.replace(" ", " /api/v1/"));
    expect(has).toContain("post /webhooks/shipstation");
  });

  test("is what `entrepot openapi` prints", async () => {
    const { status, stdout } = await app.server.cli(["openapi"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual(app.contract.document);
  });
});

describe("pages", () => {
  test("/ says what is running and links to /docs", async () => {
    const answer = (await app.anonymous.get("/")).expect(200);
    expect(answer.headers["content-type"]).toMatch(/^text\/html/);
    expect(answer.text).toContain('href="/docs"');
  });

  test("/docs is closed outside local", async () => {
    expect((await app.anonymous.get("/docs")).status).toBeGreaterThanOrEqual(400);
    (await app.owner.get("/docs")).expect(200);
  });

  describe("in a local environment", () => {
    const local = useApp({ ENVIRONMENT: "local" });
    test("/docs is open", async () => {
      expect((await local.anonymous.get("/docs")).expect(200).headers["content-type"]).toMatch(/^text\/html/);
    });
  });
});

describe("jobs and deliveries", () => {
  test("what was applied leaves no job that waits", async () => {
    (await app.hook(shipment())).expect(200);
    await app.settled();
    await eventually(async () => {
      const rows = await app.owner.all("/api/v1/jobs");
      expect(rows.filter((row) => ["ready", "running", "dead"].includes(row.state))).toEqual([]);
    });
  });

  test("one that is not there is 404", async () => {
    for (const id of ["00000000-0000-7000-8000-000000000000", "nonsense"]) {
      refused(await app.owner.get(`/api/v1/jobs/${id}`), 404);
      refused(await app.owner.delete(`/api/v1/jobs/${id}`), 404);
      refused(await app.owner.post(`/api/v1/jobs/${id}/retry`), 404);
      refused(await app.owner.get(`/api/v1/deliveries/${id}`), 404);
      refused(await app.owner.get(`/api/v1/orders/${id}`), 404);
    }
  });

  test("a delivery is shown by its id as in the list", async () => {
    const event = shipment();
    (await app.hook(event)).expect(200);
    const row = await app.delivery(`${event.shipmentId}:shipped`);
    expect((await app.owner.get(`/api/v1/deliveries/${row.id}`)).expect(200).data).toMatchObject(row);
  });
});
