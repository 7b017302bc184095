// The wall clock of a server, which the test moves: what happens by the hour does not wait for it, and
// neither the time of day nor a slow machine has a say.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { eventually } from "./eventually.js";
import { newFolder } from "./folder.js";

const DAY_MS = 24 * 3_600_000;
const SLACK_MS = 1_000; // tokens say the second of their birth

export class Clock {
  file = path.join(newFolder(), "clock");

  // Without a time it shows the right one.
  constructor(iso = new Date().toISOString()) {
    this.set(iso);
  }

  get settings() {
    return { ENVIRONMENT: "stage", ENTREPOT_CLOCK: this.file };
  }

  now(seconds = 0) {
    return Date.now() + this.offset * 1000 + seconds * 1000;
  }

  // The time in so many seconds, as it is written.
  in(seconds) {
    return new Date(this.now(seconds)).toISOString();
  }

  set(iso) {
    this.offset = Math.round((Date.parse(iso) - Date.now()) / 1000);
    writeFileSync(this.file, String(this.offset));
  }

  // The same, until the server shows it. Tokens of another day do not hold, so the owner logs in anew.
  async show(app, iso) {
    this.set(iso);
    await eventually(async () => {
      const earliest = this.now() - SLACK_MS;
      const owner = await app.login(app.owner.user.email);
      const shown = Date.parse(owner.expires_at) - DAY_MS;
      if (shown < earliest || shown > this.now() + SLACK_MS)
        throw new Error(`the server shows ${new Date(shown).toISOString()}, not ${this.in(0)}`);
      app.owner = owner;
    });
  }
}
