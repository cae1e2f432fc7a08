/**
 * Makes of whatever a hook hands over something that JSON can hold, that is not too large, and that has no
 * secrets in it: a copy, so that nobody can change it afterwards.
 */

import { withoutPrivate } from './privacy.js';

const MAX_CHARS = 200_000; // characters of all texts of an event together; eventd takes events of 1 MiB
const MAX_ITEMS = 5_000; // values of an event
const LONG_NAME = 16; // characters from which on a name may be a key or token itself
const MAX_DEPTH = 24; // levels; eventd takes 64
const OVERLAP = 8_192; // characters looked at beyond a cut, so that half a key is still known as one
const BASE64 = /^[A-Za-z0-9+/]{2000,}={0,2}$/; // an image or a sound, not something said

/** @param {import('./redaction.js').Redaction} redaction */
export class Tidy {
  #redaction;

  constructor(redaction) {
    this.#redaction = redaction;
  }

  /** @param {unknown} value @returns {unknown} */
  value(value) {
    return this.#copy(value, '', { chars: MAX_CHARS, items: MAX_ITEMS, above: [] });
  }

  /** @param {unknown} text @returns {string} The text; "" for what is none. */
  text(text) {
    return typeof text === 'string' ? this.#text('', text, { chars: MAX_CHARS }) : '';
  }

  #copy(value, name, room) {
    room.items -= 1;
    if (room.items < 0) return '[cut]';
    switch (typeof value) {
      case 'string': return this.#text(name, value, room);
      case 'number': return Number.isFinite(value) ? value : String(value);
      case 'boolean': return value;
      case 'bigint': return String(value);
      case 'object': return value === null ? null : this.#tree(value, name, room);
      default: return null;
    }
  }

  #tree(value, name, room) {
    if (value instanceof Date) return Number.isNaN(value.valueOf()) ? null : value.toISOString();
    if (value instanceof Error) return this.#text(name, String(value), room);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
    if (room.above.includes(value)) return '[circular]';
    if (room.above.length >= MAX_DEPTH) return '[cut]';
    if (value instanceof Map) value = Object.fromEntries(value);
    if (value instanceof Set) value = [...value];
    room.above.push(value);
    const copy = Array.isArray(value) ? this.#items(value, name, room) : this.#fields(value, room);
    room.above.pop();
    return copy;
  }

  #items(list, name, room) {
    const items = [];
    for (const item of list) {
      if (room.items <= 0) break;
      items.push(this.#copy(item, name, room));
    }
    return items;
  }

  #fields(tree, room) {
    const fields = {};
    for (const key of Object.keys(tree)) {
      if (room.items <= 0) break;
      const value = tree[key];
      if (value === undefined || typeof value === 'function' || typeof value === 'symbol') continue;
      Object.defineProperty(fields, this.#name(key), {
        value: this.#copy(value, key, room), enumerable: true, configurable: true, writable: true,
      }); // not `fields[key] =`, which does something else where the key is "__proto__"
    }
    return fields;
  }

  /** A short name is no secret, and looking costs time. */
  #name(key) {
    return key.length < LONG_NAME ? key : this.#redaction.text(withoutPrivate(key));
  }

  #text(name, text, room) {
    if (text.length > 2000 && BASE64.test(text.slice(0, 4096))) return `[${text.length} characters of base64]`;
    const looked = text.slice(0, room.chars + OVERLAP);
    const clean = this.#redaction.field(name, withoutPrivate(looked));
    const kept = clean.slice(0, room.chars);
    room.chars -= kept.length;
    const lost = text.length > looked.length || clean.length > kept.length;
    return lost ? `${kept.toWellFormed()} … [cut, ${text.length} characters]` : kept;
  }
}
