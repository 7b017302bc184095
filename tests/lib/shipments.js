// What the table "What a shipment status does" comes to, worked out independently of the server: the end of a
// shipment follows from the set of its events, whatever their order and however often they came. Awaiting,
// shipped and returned are {sku: quantity}.

// {sku: change of the warehouse}
export function effectOf({ shipped, returned, voided }) {
  const change = {};
  if (!shipped || voided) return change;
  for (const [sku, quantity] of Object.entries(shipped)) change[sku] = -quantity;
  const fits =
    returned && Object.entries(returned).every(([sku, quantity]) => quantity <= (shipped[sku] ?? 0));
  for (const [sku, quantity] of Object.entries(fits ? returned : {})) change[sku] += quantity;
  return change;
}

// {sku: quantity that stays reserved}, where there is enough of everything
export function reservedOf({ awaiting, shipped, cancelled, voided }) {
  return shipped || cancelled || voided ? {} : { ...awaiting };
}

// The states in which the deliveries of a shipment end.
export function verdictsOf({ shipped, returned, voided }) {
  const left = shipped && !voided;
  const fits =
    left && returned && Object.entries(returned).every(([sku, quantity]) => quantity <= (shipped[sku] ?? 0));
  return {
    awaiting_shipment: "applied",
    shipped: "applied",
    cancelled: left ? "exception" : "applied",
    voided: "applied",
    returned: fits ? "applied" : "exception",
  };
}

// What the order of these shipments comes to.
export function orderOf(shipments) {
  if (shipments.some(({ shipped, voided }) => shipped && !voided)) return "SHIPPED";
  const given_up = ({ shipped, cancelled, voided }) => cancelled && !shipped && !voided;
  return shipments.some(given_up) ? "CANCELLED" : "PAID";
}
