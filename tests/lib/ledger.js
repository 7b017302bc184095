// The record kept outside of the server: what was sent, what was acknowledged, what it must come to.
import { closeSync, openSync, writeSync } from "node:fs";
import { effectOf } from "./shipments.js";

export class Ledger {
  open = new Set();
  done = [];

  constructor(file) {
    this.file = openSync(file, "a");
  }

  // Everything is written down before it is sent.
  planned(operation) {
    this.open.add(operation);
    return operation;
  }

  // An acknowledgement counts only once it is in the file. Refused is an answer as well: nothing was done.
  acknowledged(operation, outcome) {
    writeSync(this.file, `${JSON.stringify({ ref: operation.ref, kind: operation.kind, outcome })}\n`);
    this.open.delete(operation);
    if (outcome === "done") this.done.push(operation);
  }

  // {"sku place": quantity} from all that was done, by rules of its own.
  levels() {
    const levels = {};
    const add = (sku, place, quantity) =>
      (levels[`${sku} ${place}`] = (levels[`${sku} ${place}`] ?? 0) + quantity);
    const shipments = Map.groupBy(
      this.done.filter(({ kind }) => kind === "event"),
      ({ event }) => event.shipmentId,
    );
    for (const events of shipments.values()) {
      const said = (status) => events.find(({ event }) => event.status === status);
      const lines = (operation) => {
        const sums = {};
        for (const { sku, quantity } of operation?.event.items ?? []) sums[sku] = (sums[sku] ?? 0) + quantity;
        return operation && sums;
      };
      const effect = effectOf({
        shipped: lines(said("shipped")),
        returned: lines(said("returned")),
        voided: said("voided"),
      });
      for (const [sku, change] of Object.entries(effect)) {
        add(sku, "warehouse", change);
        add(sku, "customer", -change);
      }
    }
    for (const { kind, move } of this.done)
      if (kind !== "event") {
        add(move.sku, move.from, -move.quantity);
        add(move.sku, move.to, move.quantity);
      }
    return Object.fromEntries(Object.entries(levels).filter(([, quantity]) => quantity !== 0));
  }

  close() {
    closeSync(this.file);
  }
}
