/**
 * The one connection that everything shares: made when it is needed, made anew when it was lost.
 *
 * It is shared so that the answer to a question has the events of all emits that were sent before it.
 */

import { connect } from './connection.js';

export class Link {
  #peer;
  #connection = null;
  #opening = null;

  /** @param {import('./connection.js').Peer} peer */
  constructor(peer) {
    this.#peer = peer;
  }

  /**
   * @returns {Promise<import('./connection.js').Connection>} An open connection.
   * @throws {Error} As `connect` does.
   */
  async open() {
    if (this.#connection && !this.#connection.ended) return this.#connection;
    this.#opening ??= connect(this.#peer).finally(() => {
      this.#opening = null;
    });
    this.#connection = await this.#opening;
    return this.#connection;
  }

  /** Close the connection, if there is one. */
  close() {
    this.#connection?.close();
    this.#connection = null;
  }
}
