/**
 * `eventd off` and `eventd on`: what a person has said of one session. Kept as files where the hooks of other tools
 * keep theirs (`eventd.hooks.consent`), and by the same names, so that `eventd import sessions` knows it as well.
 *
 * A session goes by two names here, its key and its transcript's id, and a hook may say only one of them. The key's
 * file lists what else was turned off with it, so that all of it is turned on again.
 */

import {
  closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, readdirSync, unlinkSync, writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

import { exists } from './ignored.js';

const SAY_OFF = 'eventd off';
const SAY_ON = 'eventd on';
const MAX_SAID = 16_384; // characters of a message that is looked at; what stands around its words may be long
const MAX_WORDS = 100; // characters of a switch, with the marks after it

const PREFIX = 'openclaw-';
const OURS = /^openclaw-[A-Za-z0-9._-]{1,120}$/;
const MAX_PLAIN = 100; // characters of a session's name in that of its file
const MAX_FILES = 2_000; // the newest ones that are kept
const MAX_LIST = 65_536; // bytes of a file's list
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * @param {Record<string, string | undefined>} environ
 * @returns {string | null} The folder for the state of the user's hooks, as `eventd.spool.places` has it.
 */
export function stateFolder(environ = process.env) {
  let base = environ.XDG_STATE_HOME ?? '';
  if (!isAbsolute(base)) {
    const below = process.platform === 'darwin' ? ['Library', 'Application Support'] : ['.local', 'state'];
    base = environ.HOME === '' ? '' : join(environ.HOME ?? homedir(), ...below);
  }
  return isAbsolute(base) ? join(base, 'eventd') : null;
}

/**
 * @param {unknown} text What a person has said.
 * @returns {'' | 'off' | 'on'} What it says of recording, if it says nothing else.
 */
export function switchIn(text) {
  if (typeof text !== 'string' || text.length > MAX_SAID) return '';
  const said = wordsOf(text).toLowerCase().split(/\s+/).filter(Boolean).join(' ');
  if (said.length > MAX_WORDS) return '';
  const bare = said.replace(/[ .!]+$/, '');
  if (bare === SAY_OFF) return 'off';
  return bare === SAY_ON ? 'on' : '';
}

/** A prompt without what OpenClaw writes around a person's words: facts of the channel, time and sender, an id. */
function wordsOf(text) {
  const lines = text.split('\n').map((line) => line.trim());
  let begin = 0;
  for (; begin < lines.length; begin += 1) {
    if (lines[begin] === '') continue;
    const isFact = /^[\w ()-]{0,60}\(untrusted[^)]{0,40}\):?$/.test(lines[begin]) && lines[begin + 1]?.startsWith('```');
    const end = isFact ? lines.indexOf('```', begin + 2) : -1;
    if (end < 0) break;
    begin = end;
  }
  const words = lines.slice(begin).filter((line) => !/^\[message_id:[^\]]{0,200}\]$/.test(line)).join(' ');
  return words.replace(/^\[[^\]]{0,200}\]/, '');
}

export class Switches {
  #log;
  #state;
  #folder;
  #unwritten = new Set(); // sessions that are off, and whose files could not be written
  #told = false;

  /**
   * @param {string | null} state The folder for the state of hooks; null where there is no place for one.
   * @param {import('./log.js').Log} log
   */
  constructor(state, log) {
    this.#log = log;
    this.#state = state;
    this.#folder = state === null ? null : join(state, 'off');
  }

  /** @param {import('./identity.js').Identity} who @returns {boolean} Whether it was turned off. */
  isOff(who) {
    const names = namesOf(who);
    const off = names.filter((name) => this.#isNoted(name));
    // Its other name may be new, as after `/new` in the same conversation: it is off as well.
    if (off.length > 0 && off.length < names.length) this.#add(names);
    return off.length > 0;
  }

  /** Turn a session off, and one that belongs to it: that is turned on with it, and not the other way round. */
  turnOff(who, child = null) {
    const below = child === null ? [] : namesOf(child);
    this.#add(below);
    this.#add(namesOf(who), below);
  }

  /** Turn a session on. */
  turnOn(who) {
    const open = namesOf(who);
    const done = new Set();
    while (open.length) {
      const name = open.pop();
      if (done.has(name)) continue;
      done.add(name);
      open.push(...this.#listOf(name));
      this.#unwritten.delete(name);
      if (this.#folder !== null) remove(join(this.#folder, name));
    }
  }

  #isNoted(name) {
    return this.#unwritten.has(name) || (this.#folder !== null && exists(join(this.#folder, name)));
  }

  /** Each of the names gets a file that lists the others, and those below. */
  #add(names, below = []) {
    for (const name of names) {
      try {
        this.#write(name, [...names, ...below]);
      } catch (error) {
        if (!this.#told) this.#log.warn(`that a session is off is forgotten when OpenClaw ends: ${error.message}`);
        this.#told = true;
        this.#unwritten.add(name);
        if (this.#unwritten.size > MAX_FILES) this.#unwritten.delete(this.#unwritten.values().next().value);
      }
    }
  }

  #write(name, listed) {
    if (this.#folder === null) throw new Error('this user has no home');
    makeFolder(this.#state, 0o022);
    makeFolder(this.#folder, 0o077);
    const path = join(this.#folder, name);
    const known = this.#listOf(name);
    const isNew = !exists(path);
    const text = listed.filter((other) => other !== name && !known.includes(other)).map((other) => `${other}\n`).join('');
    const file = openSync(path, O_CREAT | O_WRONLY | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      if (text && known.join('\n').length + text.length < MAX_LIST) writeSync(file, text);
    } finally {
      closeSync(file);
    }
    if (isNew) this.#trim();
  }

  #listOf(name) {
    if (this.#folder === null) return [];
    try {
      return readFileSync(join(this.#folder, name), 'utf8').slice(0, MAX_LIST).split('\n').filter((other) => OURS.test(other));
    } catch {
      return [];
    }
  }

  #trim() {
    const names = readdirSync(this.#folder).filter((name) => OURS.test(name));
    if (names.length <= MAX_FILES) return;
    const age = (name) => lstatSync(join(this.#folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const byAge = names.map((name) => [age(name), name]).sort(([a], [b]) => a - b);
    for (const [, name] of byAge.slice(0, names.length - MAX_FILES)) remove(join(this.#folder, name));
  }
}

/** The names of a session's files: by its id, and by its key, where that is more than the id. */
function namesOf({ session, sessionId }) {
  const isKnownById = sessionId !== '' && (session === '' || session.endsWith(`:${sessionId}`));
  return [...(session === '' || isKnownById ? [] : [session]), ...(sessionId ? [sessionId] : [])].map(fileName);
}

/** A session's name as that of a file, as `eventd.hooks.command` makes it. */
function fileName(session) {
  const name = PREFIX + session;
  const plain = [...name].map((char) => (/^[A-Za-z0-9._-]$/.test(char) ? char : '_')).slice(0, MAX_PLAIN).join('');
  return plain === name ? plain : `${plain}-${crc32(name).toString(16).padStart(8, '0')}`;
}

/** As that of zlib, which Node has from 20.15 on only. A half of a character counts as `?`, as in Python. */
function crc32(text) {
  let crc = -1;
  for (const byte of Buffer.from(text.replace(/\p{Surrogate}/gu, '?'))) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** Make a folder of this user, or check that it is one. */
function makeFolder(folder, forbidden) {
  makeAll(folder);
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== process.geteuid() || found.mode & forbidden) {
    throw new Error(`${folder} is not a folder of this user alone (mode 0700)`);
  }
}

/** Not by `recursive`, with which Node 20 never ends where a file system has no place for folders, as /proc. */
function makeAll(folder) {
  if (exists(folder)) return;
  if (dirname(folder) !== folder) makeAll(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error; // somebody was faster
  }
}

function remove(path) {
  try {
    unlinkSync(path);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
