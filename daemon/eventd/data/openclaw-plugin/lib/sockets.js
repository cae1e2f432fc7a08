/**
 * Where eventd's socket is, and whether its folder can be trusted.
 *
 * Anybody who can write to a folder above the socket could put one of their own there and read what agents
 * say. PROTOCOL.md has the rules; these are the same places and checks as in eventd's Python client.
 */

import { lstat, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const NAME = 'eventd.sock';
const FOLDER = 'eventd';
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** eventd cannot be reached; the message says why, and what to do. */
export class Unreachable extends Error {}

/**
 * @param {string | undefined} named The only place, when given; so is `$EVENTD_SOCKET`.
 * @param {Record<string, string | undefined>} environ
 * @returns {string[]} The places where eventd may be, the first one first.
 */
export function candidates(named, environ = process.env) {
  const only = named || environ.EVENTD_SOCKET;
  if (only) return [only.startsWith('~/') ? join(homedir(), only.slice(2)) : resolve(only)];
  const places = [];
  const user = process.geteuid();
  if (environ.XDG_RUNTIME_DIR) places.push(join(environ.XDG_RUNTIME_DIR, FOLDER, NAME));
  if (user !== 0) places.push(join('/run/user', String(user), FOLDER, NAME));
  places.push(join('/run', FOLDER, NAME));
  const data = process.platform === 'darwin'
    ? join(homedir(), 'Library', 'Application Support')
    : environ.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  places.push(join(data, FOLDER, NAME));
  return [...new Set(places)];
}

/**
 * Check that only this user and root could have put the socket into its folder.
 *
 * @param {string} socket
 * @throws {Unreachable} Naming the folder, and what is wrong with it.
 * @throws {Error} With `code` ENOENT: the folder is not there.
 */
export async function checkFolder(socket) {
  const folder = dirname(socket);
  for (const place of new Set([folder, await realpath(folder)])) { // a link on the way could be turned elsewhere
    await check(place, true);
    for (let parent = dirname(place), below = place; parent !== below; below = parent, parent = dirname(parent)) {
      await check(parent, false);
    }
  }
}

async function check(folder, holdsSocket) {
  const found = await lstat(folder);
  if (![0, process.geteuid()].includes(found.uid) && !(holdsSocket && await isGivenByRoot(folder))) {
    throw new Unreachable(`the folder ${folder} belongs to another user (uid ${found.uid}); name a socket of your own`);
  }
  if (found.isSymbolicLink()) return; // has no mode; what it points to is looked at as well
  if (!found.isDirectory()) throw new Unreachable(`${folder} is no folder`);
  if (found.mode & OTHERS_WRITE && (holdsSocket || !(found.mode & STICKY))) {
    throw new Unreachable(`others can write to the folder ${folder}; chmod go-w ${folder}`);
  }
}

/** Whether root's alone is the folder above: then root gave this one to its owner, as systemd does. */
async function isGivenByRoot(folder) {
  const above = await lstat(await realpath(dirname(folder)));
  return above.uid === 0 && !(above.mode & OTHERS_WRITE);
}
