// The final state does not depend on the order in which a shipment's events arrive, nor on how often.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { useApp } from "../lib/app.js";
import { SEED } from "../lib/random.js";
import { effectOf } from "../lib/shipments.js";
import { fresh, shipment } from "../lib/webhook.js";

const app = useApp();
const STOCK = 100;
const STATUSES = ["shipped", "voided", "returned", "awaiting_shipment", "cancelled"];

const permutations = (list) =>
  list.length === 0
    ? [[]]
    : list.flatMap((head, i) => permutations(list.toSpliced(i, 1)).map((tail) => [head, ...tail]));
const subsets = (list) => list.reduce((sets, one) => [...sets, ...sets.map((set) => [...set, one])], [[]]);

// What one event of a shipment says, for the server and for the oracle.
const quantityOf = { shipped: 5, voided: 5, returned: 2, awaiting_shipment: 5, cancelled: 5 };
const lines = (skus, status) => Object.fromEntries(skus.map((sku, i) => [sku, quantityOf[status] + i]));

function expected(skus, statuses) {
  const said = (status) => statuses.includes(status);
  return effectOf({
    shipped: said("shipped") && lines(skus, "shipped"),
    returned: said("returned") && lines(skus, "returned"),
    voided: said("voided"),
  });
}

async function newItems() {
  const skus = [fresh("A"), fresh("B")];
  await Promise.all(skus.map((sku) => app.item(sku, { stock: STOCK })));
  return skus;
}

async function send(event, skus, status) {
  const items = Object.entries(lines(skus, status)).map(([sku, quantity]) => ({ sku, quantity }));
  return (await app.hook({ ...event, status, items })).expect(200).json.status;
}

async function expectEnd(skus, statuses) {
  await app.settled();
  const change = expected(skus, statuses);
  for (const sku of skus) {
    expect(await app.onHand(sku), `${sku} after ${statuses}`).toBe(STOCK + (change[sku] ?? 0));
    expect(await app.onHand(sku, "customer"), `${sku} after ${statuses}`).toBe(0 - (change[sku] ?? 0));
  }
}

describe("C3 every order of shipped, voided and returned", () => {
  const orders = subsets(STATUSES.slice(0, 3))
    .flatMap(permutations)
    .filter((order) => order.length > 0);

  test.each(orders.map((order) => [order.join(", "), order]))("%s", async (_, order) => {
    const skus = await newItems();
    const event = shipment();
    for (const status of order) {
      expect(await send(event, skus, status)).toBe("ok");
      await app.settled();
    }
    await expectEnd(skus, order);
    for (const status of order) expect(await send(event, skus, status)).toBe("duplicate");
    await expectEnd(skus, order);
  });

  test("all of them at once, fifty times", async () => {
    const rounds = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const skus = await newItems();
        const event = shipment();
        const sent = ["shipped", "voided", "returned", "shipped"];
        await Promise.all(sent.map((status) => send(event, skus, status)));
        return [skus, sent];
      }),
    );
    for (const [skus, sent] of rounds) await expectEnd(skus, sent);
  });
});

describe("C3 any order of any events, with repeats", () => {
  const step = fc.record({
    which: fc.nat({ max: 1 }),
    status: fc.constantFrom(...STATUSES),
    wait: fc.boolean(),
  });
  const steps = fc.array(step, { minLength: 1, maxLength: 10 });

  test(`ends the same (seed ${SEED})`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const shipments = [
          { skus: await newItems(), event: shipment(), sent: [] },
          { skus: await newItems(), event: shipment(), sent: [] },
        ];
        for (const { which, status, wait } of sequence) {
          const { skus, event, sent } = shipments[which];
          expect(await send(event, skus, status)).toBe(sent.includes(status) ? "duplicate" : "ok");
          sent.push(status);
          if (wait) await app.settled();
        }
        for (const { skus, sent } of shipments) await expectEnd(skus, sent);
      }),
      { seed: SEED, numRuns: 40 },
    );
  });
});
