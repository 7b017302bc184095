// X7: who did what, before, after and when, by which request; sealed, and verified from the command line.
import { describe, expect, test } from "vitest";
import { App, PASSWORD, useApp } from "../lib/app.js";
import { tamper } from "../lib/database.js";
import { eventually } from "../lib/eventually.js";
import { fresh } from "../lib/webhook.js";
import { DATABASE } from "../lib/folder.js";
import { refused } from "../lib/refused.js";

const app = useApp();
const AUDIT = "/api/v1/audit";
const of = (target, client = app.owner) => client.all(`${AUDIT}?target=${encodeURIComponent(target)}`);
const verify = async (...args) => {
  const { status, stdout } = await app.server.cli(["audit", "verify", ...args, "--json"]);
  return { status, report: JSON.parse(stdout) };
};

describe("X7 the audit trail", () => {
  test("says who, what, before, after, when and by which request", async () => {
    const sku = fresh("AUDIT");
    const began = Date.now();
    const id = `made-${sku}`;
    const made = await app.owner.post(
      "/api/v1/catalog",
      { sku, kind: "product", name: "Lamp" },
      { headers: { "x-request-id": id } },
    );
    made.expect(201);
    const manager = await app.as("manager");
    (await manager.patch(`/api/v1/catalog/${sku}`, { name: "Lamp, red" })).expect(200);
    const [changed, created, ...more] = await of(sku);
    expect(more).toEqual([]);
    expect(created).toMatchObject({
      actor: "owner@default.example",
      action: "item.create",
      target: sku,
      before: null,
      after: { sku, name: "Lamp", kind: "product" },
      request_id: id,
    });
    expect(Date.parse(created.recorded_at)).toBeGreaterThan(began - 1000);
    expect(changed).toMatchObject({ actor: "manager@default.example", action: "item.change" });
    expect(changed.before.name).toBe("Lamp");
    expect(changed.after.name).toBe("Lamp, red");
    const differing = Object.keys(changed.after).sort();
    expect(differing).toEqual(Object.keys(changed.before).sort());
    expect(differing, "only what differs").toEqual(["name", "updated_at"]);
  });

  test("has no password and no hash of one", async () => {
    const email = `${fresh("secret").toLowerCase()}@example.com`;
    const { data } = (
      await app.owner.post("/api/v1/users", { email, role: "clerk", password: PASSWORD })
    ).expect(201);
    (await app.owner.patch(`/api/v1/users/${data.id}`, { password: `${PASSWORD} new` })).expect(200);
    const rows = await of(email);
    expect(rows.map(({ action }) => action)).toEqual(["user.change", "user.create"]);
    expect(JSON.stringify(rows)).not.toMatch(/password|argon|correct horse/i);
  });

  test("is filtered by actor, action, kind, thing and time, page by page", async () => {
    const skus = Array.from({ length: 5 }, () => fresh("PAGE"));
    for (const sku of skus) await app.item(sku, { stock: 3 });
    const all = await app.owner.all(AUDIT);
    const times = all.map((row) => Date.parse(row.recorded_at));
    expect(times, "newest first").toEqual(times.toSorted((a, b) => b - a));
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const paged = [];
    for (let cursor = ""; cursor !== null;) {
      const at = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const page = (await app.owner.get(`${AUDIT}?page_size=3&kind=stock${at}`)).expect(200);
      paged.push(...page.data);
      cursor = page.json.page.next_cursor;
    }
    expect(paged).toEqual(all.filter(({ action }) => action.startsWith("stock.")));
    const filters = [
      ["actor=owner@default.example", (row) => row.actor === "owner@default.example"],
      ["filter[action]=item.create", (row) => row.action === "item.create"],
      ["kind=item", (row) => row.action.startsWith("item.")],
      ["kind=ite", () => false],
      [`target=${skus[2]}`, (row) => row.target === skus[2]],
      [`target=${skus[2]}&kind=stock`, (row) => row.target === skus[2] && row.action === "stock.move"],
    ];
    for (const [query, wanted] of filters)
      expect(await app.owner.all(`${AUDIT}?${query}`), query).toEqual(all.filter(wanted));
    const at = all[2].recorded_at;
    const since = encodeURIComponent(at);
    expect(await app.owner.all(`${AUDIT}?from=${since}`)).toEqual(
      all.filter((row) => row.recorded_at >= at),
    );
    expect(await app.owner.all(`${AUDIT}?filter[recorded_at][lt]=${since}`)).toEqual(
      all.filter((row) => row.recorded_at < at),
    );
    refused(await app.owner.get(`${AUDIT}?from=yesterday`), 422, "from");
    refused(await app.owner.get(`${AUDIT}?colour=red`), 422, "colour");
  });

  test("is of one's own organisation, for owners and managers, and nobody writes it", async () => {
    const sku = await app.item(fresh("OWN"));
    expect(await of(sku, await app.other())).toEqual([]);
    expect(await of(sku, await app.as("manager"))).toHaveLength(1);
    refused(await (await app.as("clerk")).get(AUDIT), 403);
    for (const method of ["post", "put", "patch", "delete"])
      refused(await app.owner[method](AUDIT, method === "delete" ? undefined : {}), 405);
  });

  test("is sealed within seconds, and verifies beside the server", async () => {
    await app.item(fresh("SEAL"));
    const { report } = await eventually(async () => {
      const result = await verify();
      expect(result).toMatchObject({ status: 0, report: { unsealed: 0, findings: [] } });
      return result;
    });
    expect(report.rows).toBeGreaterThan(0);
    expect(report.head).toMatch(/^[0-9a-f]{64}$/);
    await app.item(fresh("SEAL"));
    const { status, stdout } = await app.server.cli(["audit", "seal"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^Sealed \d+ rows/) });
    expect(await verify("--anchor", report.head), "an anchor from before").toMatchObject({ status: 0 });
    const wrong = await verify("--anchor", "ab".repeat(32));
    expect(wrong.status).toBe(1);
    expect(wrong.report.findings[0].problem).toContain("kept elsewhere");
    expect((await app.server.cli(["audit", "verify", "--anchor", "nonsense"])).status).not.toBe(0);
    expect(app.server.log(), "the log carries the head away").toMatch(/"head":"[0-9a-f]{64}"/);
    const metrics = await app.anonymous.get("/metrics");
    expect(metrics.text).toMatch(/entrepot_audit_sealed_rows_total [1-9]/);
  });
});

test("X7 a lease that a killed process left behind does not stop `audit seal`", async () => {
  const dead = new App();
  await dead.launch();
  try {
    await dead.item("LEFT-BEHIND");
    await dead.server.kill();
    const end = Date.now() + 3_000;
    const lease =
      DATABASE === "postgres"
        ? `holder = '01020304-0506-7008-890a-0b0c0d0e0f10', ends_at = to_timestamp(${end / 1000})`
        : `holder = x'0102030405067008890a0b0c0d0e0f10', ends_at = ${end * 1000}`;
    tamper(dead.server.env.DATABASE_URL, `UPDATE audit_lease SET ${lease}`);
    const { status, stdout } = await dead.server.cli(["audit", "seal"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^Sealed \d+ rows/) });
    const verified = await dead.server.cli(["audit", "verify", "--json"]);
    expect(JSON.parse(verified.stdout)).toMatchObject({ unsealed: 0, findings: [] });
  } finally {
    await dead.pool.destroy();
    await dead.server.remove();
  }
});
