import { expect } from "vitest";

// The answer is an error of this status that names exactly these fields (none: whatever it names).
export function refused(answer, status, ...fields) {
  const { json } = answer.expect(status);
  expect(json.data).toBeNull();
  expect(json.error.request_id).toBe(answer.headers["x-request-id"]);
  if (fields.length > 0) expect([...new Set(answer.fields)].sort()).toEqual([...fields].sort());
  return json.error;
}
