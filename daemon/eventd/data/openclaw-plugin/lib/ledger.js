/**
 * Which ids were given lately, and to what: a hook that is called twice tells nothing twice, and another event
 * that would get the same id gets one of its own. (Some models count their tool calls anew in each run.)
 */

import { createHash } from 'node:crypto';

const MAX_IDS = 5_000; // the newest ones that are remembered

export class Ledger {
  #contents = new Map(); // id to a digest of what it was given to

  /**
   * @param {string} id
   * @param {unknown} content What happened, without its time.
   * @returns {string | null} The id to take; null where this very event has been told.
   */
  admit(id, content) {
    const said = createHash('sha256').update(JSON.stringify(content)).digest('base64');
    for (let n = 2, candidate = id; ; candidate = `${id.slice(0, 120)}~${n}`, n += 1) {
      const known = this.#contents.get(candidate);
      if (known === said) return null;
      if (known !== undefined) continue;
      this.#contents.set(candidate, said);
      if (this.#contents.size > MAX_IDS) this.#contents.delete(this.#contents.keys().next().value);
      return candidate;
    }
  }
}
