// C1 C3 X3: who may come in is kept in memory; what changes takes effect at once in the process that changed
// it, and within a second in every other one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App, PASSWORD, useApp } from "../lib/app.js";
import { eventually, sleep } from "../lib/eventually.js";
import { DATABASE } from "../lib/folder.js";
import { SECRETS } from "../lib/server.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const beside = new App(); // on PostgreSQL a second process on the same database, else the same one
let there;
beforeAll(async () => {
  if (DATABASE === "postgres") await beside.join(app);
  there = DATABASE === "postgres" ? beside : app;
}, 60_000);
afterAll(async () => {
  await beside.pool?.close();
  if (beside.server) expect(await beside.server.stop()).toEqual({ status: 0, signal: null });
  await beside.server?.remove();
});

// Without a word to the process that asks. How soon is a matter of how busy the machine is.
const until = (check) => eventually(async () => expect(await check()).toBe(true));

async function user(role = "clerk") {
  const email = `${fresh("kept").toLowerCase()}@example.com`;
  const made = await app.owner.post("/api/v1/users", { email, role, password: PASSWORD });
  return { id: made.expect(201).data.id, email };
}

const ME = "/api/v1/auth/me";
const answers = (client, status) => async () => {
  const got = (await client.get(ME)).status;
  return got === status || got;
};

describe("C1 X3 what is known of users", () => {
  test.each([
    ["disabled", (id) => app.owner.patch(`/api/v1/users/${id}`, { disabled: true })],
    ["removed", (id) => app.owner.delete(`/api/v1/users/${id}`)],
    [
      "given another password",
      async (id) => {
        await sleep(1_000); // tokens say the second of their birth
        return app.owner.patch(`/api/v1/users/${id}`, { password: `${PASSWORD}!` });
      },
    ],
  ])("a user who is %s is out within a second", async (_, change) => {
    const { id, email } = await user();
    const here = await app.login(email);
    const other = await there.login(email);
    await until(answers(other, 200));
    (await here.get(ME)).expect(200);
    expect((await change(id)).status).toBeLessThan(300);
    (await here.get(ME)).expect(401);
    await until(answers(other, 401));
  });

  test("a token that was ended is ended everywhere", async () => {
    const { email } = await user();
    const here = await app.login(email);
    const other = await there.login(email);
    const same = there === app ? here : Object.assign(await there.login(email), { token: here.token });
    await until(answers(same, 200));
    (await here.post("/api/v1/auth/logout")).expect(204);
    (await here.get(ME)).expect(401);
    await until(answers(same, 401));
    (await other.get(ME)).expect(200);
  });

  test("a role counts everywhere", async () => {
    const { id, email } = await user("viewer");
    const other = await there.login(email);
    const make = async () => {
      const { status } = await other.post("/api/v1/catalog", { sku: fresh("ROLE") });
      return status === 201 || status;
    };
    await until(async () => (await make()) === 403);
    (await app.owner.patch(`/api/v1/users/${id}`, { role: "manager" })).expect(200);
    await until(make);
  });
});

test("C3 the secret of an organisation that is made at run time is its own within a second", async () => {
  const signs = async () => {
    const { status } = await there.hook(shipment(), { secret: SECRETS.other });
    return status === 200 || status;
  };
  expect(await signs(), "a prefix that names nobody belongs to the secret").toBe(403);
  const name = "Other Company";
  const owner = { email: "owner@made-at-run-time.example", password: PASSWORD };
  (await app.owner.post("/api/v1/organisations", { name, owner })).expect(201);
  await until(signs);
  const client = await app.login(owner.email);
  const rows = await client.all("/api/v1/deliveries");
  expect(rows.length, "they are the new organisation's").toBeGreaterThan(0);
});
