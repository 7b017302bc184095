// "Who may do what" of the requirements, written down a second time, so that the server's own table is not
// its only witness. A path that no row matches fails the access test: a new route needs a row here.
const WRITE = "write",
  READ = "read",
  NOTHING = "nothing";
const row = (owner, manager, clerk, viewer) => ({ owner, manager, clerk, viewer });

const AREAS = {
  organisation: row(WRITE, READ, NOTHING, NOTHING),
  catalogue: row(WRITE, WRITE, READ, READ),
  floor: row(WRITE, WRITE, WRITE, READ),
  own: row(WRITE, WRITE, WRITE, READ),
  jobs: row(WRITE, WRITE, READ, NOTHING),
  audit: row(READ, READ, NOTHING, NOTHING),
  anybody: row(WRITE, WRITE, WRITE, WRITE),
  open: row(WRITE, WRITE, WRITE, WRITE),
};

const PATHS = [
  [/^\/(|docs|openapi\.json|metrics|health|healthz|status\/health)$/, "open"],
  [/^\/webhooks\//, "open"],
  [/^\/api\/v1\/auth\/login$/, "open"],
  [/^\/api\/v1\/auth\/(me|logout)$/, "anybody"],
  [/^\/api\/v1\/auth\/password$/, "own"],
  [/^\/api\/v1\/(organisations|users|webhooks)(\/|$)/, "organisation"],
  [/^\/api\/v1\/catalog\/(ingest|exceptions|uploads)(\/|$)/, "floor"],
  [/^\/api\/v1\/(catalog|places|feeds|stores)(\/|$)/, "catalogue"],
  [/^\/api\/v1\/counts\/[^/]+\/approve$/, "catalogue"],
  [/^\/api\/v1\/(stock|counts|orders)(\/|$)/, "floor"],
  [/^\/api\/v1\/audit$/, "audit"],
  [/^\/api\/v1\/(deliveries|jobs|queues|schedules)(\/|$)/, "jobs"],
];

export const ROLES = ["owner", "manager", "clerk", "viewer"];

// {area, allowed: {owner, manager, clerk, viewer}}, or null where the table has no row.
export function accessOf(method, path) {
  const area = PATHS.find(([pattern]) => pattern.test(path))?.[1];
  if (!area) return null;
  const enough = method === "get" ? [READ, WRITE] : [WRITE];
  const allowed = Object.fromEntries(ROLES.map((role) => [role, enough.includes(AREAS[area][role])]));
  return { area, allowed };
}
