// What the table "What a shipment status does" comes to, worked out independently of the server: the end of a
// shipment follows from the set of its events, whatever their order and however often they came. Shipped and
// returned are {sku: quantity}; gives {sku: change of the warehouse}.
export function effectOf({ shipped, returned, voided }) {
  const change = {};
  if (!shipped || voided) return change;
  for (const [sku, quantity] of Object.entries(shipped)) change[sku] = -quantity;
  const fits =
    returned && Object.entries(returned).every(([sku, quantity]) => quantity <= (shipped[sku] ?? 0));
  for (const [sku, quantity] of Object.entries(fits ? returned : {})) change[sku] += quantity;
  return change;
}
