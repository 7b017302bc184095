// A reporter that leaves the number of tests in the file COUNTS, for the last line of tests/run.
import { writeFileSync } from "node:fs";

export default class Counts {
  onTestRunEnd(modules, unhandled) {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const module of modules) {
      let failed = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === "pending" ? "skipped" : state]++;
        failed += state === "failed";
      }
      // A file whose hooks or imports failed has failed, even where no test of it did.
      if (module.state() === "failed" && failed === 0) counts.failed++;
    }
    writeFileSync(process.env.COUNTS, `${counts.passed} ${counts.failed} ${counts.skipped}\n`);
  }
}
