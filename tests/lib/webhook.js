// Shipping events and their signatures.
import { createHmac } from "node:crypto";

export const sign = (body, secret) => createHmac("sha256", secret).update(body).digest("hex");

// The bytes of an event with their signature; a text goes as it is.
export function signed(event, secret) {
  const body = typeof event === "string" || Buffer.isBuffer(event) ? event : JSON.stringify(event);
  return { body, signature: sign(body, secret) };
}

export const timestamp = (offsetSeconds = 0) => new Date(Date.now() + offsetSeconds * 1000).toISOString();

let count = 0;
// An id that no other test of this file has.
export const fresh = (prefix = "S") => `${prefix}-${++count}`;

export function shipment(changes = {}) {
  const event = {
    shipmentId: fresh(),
    orderId: fresh("O"),
    channel: "woot",
    status: "shipped",
    timestamp: timestamp(),
    items: [{ sku: "TEST-SKU-001", quantity: 1 }],
    ...changes,
  };
  // undefined leaves a field out.
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}
