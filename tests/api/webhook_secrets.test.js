// Which secrets sign, and for whom.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { App, useApp } from "../lib/app.js";
import { eventually } from "../lib/eventually.js";
import { refused } from "../lib/refused.js";
import { SECRETS } from "../lib/server.js";
import { fresh, shipment } from "../lib/webhook.js";

describe("C3 several active secrets", () => {
  const app = useApp();

  test.each(["first", "second", "bare"])(
    "the secret %s is good for the oldest organisation",
    async (name) => {
      const event = shipment();
      (await app.hook(event, { secret: SECRETS[name] })).expect(200);
      expect(await app.delivery(`${event.shipmentId}:shipped`)).toMatchObject({ source: "shipstation" });
    },
  );

  test("two of them sign the same event: it is known", async () => {
    const event = shipment();
    expect((await app.hook(event, { secret: SECRETS.first })).expect(200).json.status).toBe("ok");
    expect((await app.hook(event, { secret: SECRETS.second })).expect(200).json.status).toBe("duplicate");
  });

  test("a secret of another organisation moves that one's stock and no other", async () => {
    const event = shipment();
    // A prefix counts once it names an organisation; until then nothing of it verifies for that one.
    const other = await app.other();
    await app.item("TEST-SKU-001", { stock: 5, client: other });
    const before = await app.onHand("TEST-SKU-001");
    await eventually(async () => (await app.hook(event, { secret: SECRETS.other })).expect(200));
    await app.settled(other);
    expect(await app.delivery(`${event.shipmentId}:shipped`, other)).toMatchObject({ state: "applied" });
    expect(await app.delivery(`${event.shipmentId}:shipped`)).toBeUndefined();
    expect(await app.onHand("TEST-SKU-001")).toBe(before);
    expect(await app.onHand("TEST-SKU-001", "warehouse", other)).toBe(4);
  });

  test("the same shipment of two organisations is two events", async () => {
    const event = shipment({ shipmentId: fresh("BOTH") });
    await app.other();
    expect((await app.hook(event)).expect(200).json.status).toBe("ok");
    expect((await app.hook(event, { secret: SECRETS.other })).expect(200).json.status).toBe("ok");
  });
});

describe("C3 where secrets come from", () => {
  let app;
  const start = async (settings) => {
    app = new App();
    await app.launch({ ENVIRONMENT: "stage", ...settings });
  };
  afterEach(() => app.finish());
  const fileOf = (name, text) => {
    const file = path.join(tmpdir(), `entrepot-${process.pid}-${name}`);
    writeFileSync(file, text);
    return file;
  };

  test("a file with one secret a line, added to the others", async () => {
    const file = fileOf("secrets", "from-the-file-number-one\n\ndefault:from-the-file-number-two\n");
    await start({ APP_WEBHOOK_SECRETS_FILE: file });
    for (const secret of ["from-the-file-number-one", "from-the-file-number-two", SECRETS.first])
      (await app.hook(shipment(), { secret })).expect(200);
    refused(await app.hook(shipment(), { secret: "" }), 403);
  });

  test("the alias APP_WEBHOOK_SECRETS", async () => {
    await start({ WEBHOOK_SECRETS: null, APP_WEBHOOK_SECRETS: "by-its-alias-and-long-enough" });
    (await app.hook(shipment(), { secret: "by-its-alias-and-long-enough" })).expect(200);
  });

  test.each([[null], [""], [" , ,"], ["default:"]])("WEBHOOK_SECRETS=%s never verifies", async (value) => {
    await start({ WEBHOOK_SECRETS: value });
    for (const secret of ["", " ", "default:", "null"]) refused(await app.hook(shipment(), { secret }), 403);
  });

  test("a prefix that names no organisation belongs to the secret", async () => {
    await start({ WEBHOOK_SECRETS: "nobody:with-a-colon-in-it" });
    (await app.hook(shipment(), { secret: "nobody:with-a-colon-in-it" })).expect(200);
    refused(await app.hook(shipment(), { secret: "with-a-colon-in-it" }), 403);
  });
});
