/** The plugin's files, wherever it lies. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** @param {string} name Of a file in `lib`, without its ending. */
export function lib(name) {
  return import(pathToFileURL(join(process.env.PLUGIN, 'lib', `${name}.js`)));
}
