// A fresh, empty database for each server: a file in its folder, or a PostgreSQL database of its own that
// belongs to the role of TEST_POSTGRES (no superuser, as in production).
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import { DATABASE } from "./folder.js";

// TEST_POSTGRES is what `script/pg start` printed; beside it the cluster's own superuser comes in by trust.
function administer(statement, database = "postgres") {
  const url = new URL(process.env.TEST_POSTGRES.replace("@/", "@localhost/"));
  const where = ["-h", url.searchParams.get("host"), "-p", url.searchParams.get("port"), "-U", "postgres"];
  execFileSync("psql", ["-qX", "-v", "ON_ERROR_STOP=1", "-d", database, ...where, "-f", "-"], {
    input: statement,
    stdio: ["pipe", "ignore", "inherit"],
  });
}

export function newDatabase(folder) {
  if (DATABASE === "sqlite") return { url: `sqlite:///${path.join(folder, "entrepot.db")}`, drop() {} };
  const name = `test_${randomBytes(8).toString("hex")}`;
  administer(`CREATE DATABASE ${name} OWNER entrepot TEMPLATE template0`);
  return {
    url: process.env.TEST_POSTGRES.replace("@/entrepot?", `@/${name}?`),
    drop: () => administer(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

// Changes a server's database behind its back, as nobody should.
export function tamper(url, statements) {
  if (DATABASE === "postgres") return administer(statements, /@\/(\w+)/.exec(url)[1]);
  const { DatabaseSync } = createRequire(import.meta.url)("node:sqlite");
  const file = new DatabaseSync(url.replace("sqlite://", ""));
  try {
    file.exec("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF");
    file.exec(statements);
  } finally {
    file.close();
  }
}
