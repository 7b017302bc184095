// A server ready for a test file: migrated, seeded, with an owner; ended and verified when the file is done.
import { afterAll, beforeAll, expect } from "vitest";
import { Client, newPool } from "./client.js";
import { Contract } from "./contract.js";
import { eventually } from "./eventually.js";
import { SECRETS, Server } from "./server.js";
import { signed } from "./webhook.js";

export const PASSWORD = "correct horse battery staple";

// To be called at the top of a test file. Hooks start the server before its tests; afterwards it must end
// cleanly by SIGTERM and its ledger must verify.
export function useApp(settings = {}) {
  const app = new App();
  beforeAll(() => app.launch(settings), 60_000);
  afterAll(() => app.finish(), 60_000);
  return app;
}

export class App {
  users = new Map();

  async launch(settings = {}) {
    this.server = new Server(settings);
    await this.server.command("db", "upgrade");
    await this.server.command("seed");
    await this.addOwner("owner@default.example", "Default");
    await this.server.start();
    await this.open();
    await this.byHand(this.owner);
  }

  // What the server does by the hour would come between two looks of a test that happens to run then. The
  // schedules have tests of their own, with a clock that the test moves and a job that does nothing.
  async byHand(client) {
    for (const name of ["inbox.forget", "shipstation_sync", "smartsheet_sync", "uploads.sweep"])
      (await client.patch(`/api/v1/schedules/${name}`, { paused: true })).expect(200);
  }

  // A second process on the database of another one, with a data folder of its own.
  async join(first) {
    this.server = new Server({ DATABASE_URL: first.server.env.DATABASE_URL });
    await this.server.start();
    await this.open();
  }

  // Everything that knows the server's port and the user's token.
  async open() {
    this.connect();
    this.anonymous = new Client(this);
    const document = await this.anonymous.get("/openapi.json");
    this.contract = new Contract(document.expect(200).json);
    this.owner = await this.login("owner@default.example");
  }

  // Anew after a restart; the old connections are gone.
  connect() {
    this.pool = newPool(this.server.url);
  }

  async addOwner(email, org) {
    const args = ["user", "add", email, "--org", org, "--role", "owner", "--password-stdin"];
    const added = await this.server.cli(args, { input: `${PASSWORD}\n` });
    expect(added, "user add").toMatchObject({ status: 0 });
  }

  async login(email, password = PASSWORD) {
    const answer = await this.anonymous.post("/api/v1/auth/login", { email, password });
    return new Client(this, answer.expect(200).data);
  }

  // A user of the first organisation in this role, made when first asked for.
  as(role) {
    if (role === "owner") return this.owner;
    return this.once(`${role}@default.example`, (email) => this.addUser(this.owner, email, role));
  }

  // The same in a second organisation.
  async other(role = "owner") {
    const email = (of) => `${of}@other.example`;
    const owner = await this.once(email("owner"), async () => {
      const body = { name: "Other Company", owner: { email: email("owner"), password: PASSWORD } };
      (await this.owner.post("/api/v1/organisations", body)).expect(201);
      const client = await this.login(email("owner"));
      await this.byHand(client);
      return client;
    });
    return role === "owner" ? owner : this.once(email(role), () => this.addUser(owner, email(role), role));
  }

  async addUser(owner, email, role) {
    (await owner.post("/api/v1/users", { email, role, password: PASSWORD })).expect(201);
    return this.login(email);
  }

  once(email, make) {
    if (!this.users.has(email)) this.users.set(email, make(email));
    return this.users.get(email);
  }

  // Sends a shipping event, rightly signed unless options say otherwise.
  hook(event, { secret = SECRETS.first, headers = {} } = {}) {
    const { body, signature } = signed(event, secret);
    const all = { "X-ShipStation-Signature": signature, authorization: null, ...headers };
    return this.anonymous.post("/webhooks/shipstation", body, { headers: all });
  }

  // Waits until every event that was taken has been applied, ignored or set aside.
  settled(client = this.owner, within = 30_000) {
    const check = async () => {
      const pending = await client.get("/api/v1/deliveries?filter[state]=pending&page_size=1");
      expect(pending.expect(200).data).toEqual([]);
    };
    return eventually(check, { within });
  }

  async item(sku, { stock = 0, place = "warehouse", client = this.owner } = {}) {
    (await client.post("/api/v1/catalog", { sku, kind: "product", name: sku })).expect(201);
    if (stock > 0) await this.receive(sku, stock, { place, client });
    return sku;
  }

  async receive(sku, quantity, { place = "warehouse", client = this.owner } = {}) {
    const move = { sku, quantity, from: "supplier", to: place, reason: "receipt" };
    return (await client.post("/api/v1/stock/moves", move)).expect(201).data;
  }

  // The level of an item at a place; zeros where there never was any.
  async level(sku, place = "warehouse", client = this.owner) {
    const rows = await client.all(`/api/v1/stock?sku=${encodeURIComponent(sku)}&place=${place}`);
    expect(rows.length).toBeLessThan(2);
    return rows[0] ?? { sku, place, on_hand: 0, reserved: 0, available: 0, oversold: false, unknown: false };
  }

  async onHand(sku, place = "warehouse", client = this.owner) {
    return (await this.level(sku, place, client)).on_hand;
  }

  moves(sku, client = this.owner) {
    return client.all(`/api/v1/stock/moves?sku=${encodeURIComponent(sku)}`);
  }

  // The newest delivery of an event, once it is no longer pending.
  async delivery(event_id, client = this.owner) {
    await this.settled(client);
    const rows = await client.all("/api/v1/deliveries");
    return rows.find((row) => row.event_id === event_id);
  }

  // Ends the server as an administrator does. One that never came up has said so already.
  async finish() {
    try {
      await this.pool?.close();
      if (!this.owner) return;
      expect(await this.server.stop(), "how the server ended").toEqual({ status: 0, signal: null });
      expect(await this.server.cli(["ledger", "verify"]), "ledger verify").toMatchObject({ status: 0 });
      expect(await this.server.cli(["audit", "verify"]), "audit verify").toMatchObject({ status: 0 });
    } finally {
      await this.server?.remove();
    }
  }
}
