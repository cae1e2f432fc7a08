/** Messages as the socket carries them: a length of 4 bytes, big-endian, and one msgpack map. */

import { decode, encode } from './msgpack.js';

const MAX_FRAME = 64 * 1024 * 1024; // bytes; far above any answer to this client, so it only stops nonsense

/** @param {object} message @returns {Buffer} */
export function frame(message) {
  const body = encode(message);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Cuts what arrives, in portions of any size, into messages. */
export class Cutter {
  #chunks = [];
  #held = 0;

  /**
   * @param {Buffer} chunk
   * @returns {object[]} The messages that are complete now.
   * @throws {RangeError} This is not the protocol.
   */
  push(chunk) {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    const messages = [];
    for (let body = this.#cut(); body !== null; body = this.#cut()) messages.push(decode(body));
    return messages;
  }

  #cut() {
    if (this.#held < 4) return null;
    if (this.#chunks[0].length < 4) this.#join();
    const length = this.#chunks[0].readUInt32BE();
    if (length > MAX_FRAME) throw new RangeError(`a frame of ${length} bytes is announced`);
    if (this.#held < 4 + length) return null;
    this.#join();
    const all = this.#chunks[0];
    this.#chunks = [all.subarray(4 + length)];
    this.#held -= 4 + length;
    return all.subarray(4, 4 + length);
  }

  #join() {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
