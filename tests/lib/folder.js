// Where things are, and which database this run is about.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../..");
export const BINARY = path.resolve(ROOT, process.env.ENTREPOT_BIN || "build/entrepot");
export const DATABASE = process.env.TEST_DATABASE ?? "sqlite";

export function newFolder() {
  return mkdtempSync(path.join(tmpdir(), "entrepot-test-"));
}

// KEEP=1 leaves data folders and logs behind, to look at.
export function dropFolder(folder) {
  if (!process.env.KEEP) rmSync(folder, { recursive: true, force: true });
}
