// TEST_PART says which folder, TEST_DATABASES on which databases; tests/run sets them.
import { defineConfig } from "vitest/config";

const part = process.env.TEST_PART ?? "api";
const databases = (process.env.TEST_DATABASES ?? "sqlite").split(",");

export default defineConfig({
  test: {
    reporters: ["default", "./lib/counts.js"],
    pool: "forks",
    maxWorkers: part === "kill" ? 1 : 2,
    projects: databases.map((database) => ({
      test: {
        name: `${part} ${database}`,
        include: [`${part}/**/*.test.js`],
        env: { TEST_DATABASE: database },
        testTimeout: part === "kill" ? 1_800_000 : 60_000,
        hookTimeout: 60_000,
        expect: { poll: { timeout: 30_000, interval: 20 } },
      },
    })),
  },
});
