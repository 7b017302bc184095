import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

// Calls fn until it no longer throws and gives its result; its last error when time is up.
export async function eventually(fn, { within = 30_000, every = 15 } = {}) {
  const end = Date.now() + within;
  for (;;) {
    try {
      return await fn();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await sleep(every);
  }
}
