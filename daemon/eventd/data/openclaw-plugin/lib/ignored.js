/** `.eventd-ignore`: a file by which a person says of a folder, and of all below it, that nothing of it is recorded. */

import { lstatSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

export const IGNORE_FILE = '.eventd-ignore';

const FRESH = 10_000; // ms for which an answer counts
const MAX_FOLDERS = 500; // whose answers are remembered
const MAX_LEVELS = 64; // folders above one that are looked at

export class Ignored {
  #home;
  #now;
  #known = new Map(); // folder to whether it is ignored, and until when that counts

  /** @param {{home?: string, now?: () => number}} given For tests. */
  constructor({ home = homedir(), now = Date.now } = {}) {
    this.#home = home;
    this.#now = now;
  }

  /** @returns {boolean} Whether a folder, or one above it up to the home, has the file. */
  has(folder) {
    const now = this.#now();
    const known = this.#known.get(folder);
    if (known && now < known.until && now >= known.until - FRESH) return known.isIgnored;
    const isIgnored = look(folder, this.#home);
    this.#known.delete(folder);
    this.#known.set(folder, { isIgnored, until: now + FRESH });
    if (this.#known.size > MAX_FOLDERS) this.#known.delete(this.#known.keys().next().value);
    return isIgnored;
  }
}

function look(named, home) {
  const expanded = named === '~' || named.startsWith('~/') ? join(home, named.slice(1)) : named;
  if (!isAbsolute(expanded) || expanded.includes('\0')) return false;
  let folder = real(expanded);
  const top = real(home);
  for (let n = 0; n < MAX_LEVELS; n += 1) {
    if (exists(join(folder, IGNORE_FILE))) return true;
    const above = dirname(folder);
    if (above === folder || folder === top) return false;
    folder = above;
  }
  return false;
}

/** A folder without the links on the way to it, as far as it is there. */
function real(folder) {
  try {
    return realpathSync(folder);
  } catch {
    const above = dirname(folder);
    return above === folder ? folder : join(real(above), folder.slice(above.length));
  }
}

/** @param {string} path @returns {boolean} Whether it is there; a link counts wherever it leads. */
export function exists(path) {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // nobody can say, as in `os.path.lexists`
  }
}
