/** One connection to eventd: from the greeting to its end. It never keeps the process alive. */

import { createConnection } from 'node:net';

import { Refused } from './codes.js';
import { Cutter, frame } from './frames.js';
import { Unreachable, candidates, checkFolder } from './sockets.js';

const PROTOCOL = 1;
const GREETING = 10_000; // ms for the connection and the welcome

const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']); // nobody is there; look elsewhere

/** The connection has ended; what was asked may or may not have been done. */
export class ConnectionLost extends Error {}

/**
 * @typedef {object} Peer How to reach eventd, and as whom.
 * @property {string | undefined} socket
 * @property {string} speaker The agent that speaks.
 * @property {string} client Name and version, for eventd's log.
 */

/**
 * Connect to the first eventd that answers, and greet it.
 *
 * @param {Peer} peer
 * @returns {Promise<Connection>}
 * @throws {Unreachable | Refused | ConnectionLost}
 */
export async function connect(peer) {
  const places = candidates(peer.socket);
  for (const place of places) {
    try {
      await checkFolder(place);
      return await greet(await open(place), peer);
    } catch (error) {
      if (NOBODY.has(error.code)) continue;
      if (error.code === 'EACCES') throw new Unreachable(`this user may not use ${place}; run eventd as the same user`);
      throw error;
    }
  }
  throw new Unreachable(`nobody answers at ${places.join(', ')}; start it with \`eventd run\``);
}

function open(place) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(place);
    socket.unref();
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function greet(socket, peer) {
  const connection = new Connection(socket);
  const hello = { op: 'hello', protocol: PROTOCOL, agent: peer.speaker, client: peer.client };
  if (process.env.EVENTD_TOKEN) hello.token = process.env.EVENTD_TOKEN;
  connection.welcome = await connection.exchange(null, hello, GREETING);
  return connection;
}

export class Connection {
  /** @type {{limits: Record<string, number>, can: string[]}} What eventd said of itself. */
  welcome = null;
  /** @type {Error | null} Why it has ended; null while it is open. */
  ended = null;

  #socket;
  #cutter = new Cutter();
  #open = new Map(); // id of the request (null: the greeting) to its exchange
  #next = 1;

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.close(new ConnectionLost(`the connection is lost: ${error.message}`)));
    socket.on('close', () => this.close(new ConnectionLost('eventd has closed the connection')));
  }

  /**
   * Ask something.
   *
   * @param {object} message Without its `id`.
   * @param {number} deadline Milliseconds; when they are over, the connection counts as dead.
   * @returns {Promise<object>} The reply.
   * @throws {Refused | ConnectionLost}
   */
  request(message, deadline) {
    const id = this.#next;
    this.#next += 1;
    return this.exchange(id, { op: message.op, id, ...message }, deadline);
  }

  /** Send a message; return what comes for it. */
  exchange(id, message, deadline) {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const late = () => this.close(new ConnectionLost(`eventd did not answer within ${deadline / 1000} s`));
      const timer = setTimeout(late, deadline);
      timer.unref();
      this.#open.set(id, { resolve, reject, timer });
      this.#socket.write(frame(message));
    });
  }

  /** End it; whatever is open fails. */
  close(reason = new ConnectionLost('the connection was closed')) {
    if (this.ended) return;
    this.ended = reason;
    this.#socket.destroy();
    for (const { reject, timer } of this.#open.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#open.clear();
  }

  #receive(chunk) {
    try {
      for (const message of this.#cutter.push(chunk)) this.#handle(message);
    } catch (error) {
      this.close(new ConnectionLost(`what eventd sends is not its protocol: ${error.message}`));
    }
  }

  #handle(message) {
    const refusal = message.op === 'error' ? new Refused(message) : null;
    if (refusal && message.id === undefined) return this.close(refusal);
    const id = message.op === 'welcome' ? null : message.id;
    const exchange = this.#open.get(id);
    if (!exchange) return undefined; // of no request of ours
    this.#open.delete(id);
    clearTimeout(exchange.timer);
    return refusal ? exchange.reject(refusal) : exchange.resolve(message);
  }
}
