/** The plugin's own version, as its manifest says. */

import { readFileSync } from 'node:fs';

export const VERSION = JSON.parse(readFileSync(new URL('../openclaw.plugin.json', import.meta.url), 'utf8')).version;
