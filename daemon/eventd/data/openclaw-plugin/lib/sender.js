/**
 * Takes events to eventd in the background, in rounds of a few emits.
 *
 * What was not acknowledged waits again, in its old place, and is sent again as it was: with the same id, so
 * that eventd stores it once. Nothing here throws, and nothing waits but its own loop.
 */

import { Backoff } from './backoff.js';
import { EventBuffer } from './buffer.js';
import { Action, Refused } from './codes.js';
import { Raw, encode } from './msgpack.js';

const MAX_EVENTS = 10_000; // events held while eventd is away
const MAX_BYTES = 16 * 1024 * 1024; // bytes of them
const EMIT_EVENTS = 200; // events of one emit, at most
const EMIT_BYTES = 256 * 1024; // bytes of them
const ROUND = 8; // emits under way at a time
const FRAME_ROOM = 64; // bytes of a frame that are not its events
const ACK = 30_000; // ms for an ack; then the connection counts as dead
const LATER = 30_000; // ms before the next attempt where a person has to act first

export class Sender {
  /** What became of the events: `dropped` has reasons and how often, `known` those that eventd had already. */
  stats = { taken: 0, acked: 0, known: 0, dropped: {} };

  #link;
  #log;
  #buffer;
  #backoff = new Backoff();
  #running = false;
  #away = false;
  #waiters = new Set(); // flushes
  #wake = null; // ends the pause under way

  /**
   * @param {import('./link.js').Link} link
   * @param {import('./log.js').Log} log
   * @param {{maxEvents?: number, maxBytes?: number}} bounds
   */
  constructor(link, log, { maxEvents = MAX_EVENTS, maxBytes = MAX_BYTES } = {}) {
    this.#link = link;
    this.#log = log;
    this.#buffer = new EventBuffer(maxEvents, maxBytes);
  }

  /** Events that are not on eventd's disk yet. */
  get held() {
    return this.#buffer.held;
  }

  /**
   * Take an event and return at once.
   *
   * @param {object} event With an id and a timestamp; it is copied as it is now.
   */
  put(event) {
    const bytes = encode(event);
    if (!this.#buffer.put({ bytes, id: event.id, owner: `${event.agent}\n${event.session}` })) {
      this.#drop('buffer_full', 1, `${this.#buffer.held} events are held already`);
      return;
    }
    this.stats.taken += 1;
    if (!this.#running) {
      this.#running = true;
      setImmediate(() => this.#run()); // events of one moment go together
    }
  }

  /**
   * Wait until all events are stored or given up, but no longer than to the next attempt that fails.
   *
   * @param {number} timeout Milliseconds.
   * @returns {Promise<boolean>} Whether none is left.
   */
  flush(timeout) {
    if (this.#buffer.held === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve(this.#buffer.held === 0);
      };
      const timer = setTimeout(done, timeout); // keeps the process alive: it is about to end
      this.#waiters.add(done);
      this.#wake?.();
    });
  }

  async #run() {
    while (this.#buffer.held > 0) {
      let pause;
      try {
        pause = await this.#converse(await this.#link.open());
      } catch (error) {
        pause = this.#failed(error);
      }
      if (pause > 0) await this.#sleep(pause);
    }
    this.#running = false;
    this.#tellWaiters();
  }

  /** Send all that there is; return how long to wait before the next attempt, in milliseconds. */
  async #converse(connection) {
    if (this.#away) this.#log.info(`eventd is there again; ${this.#buffer.held} events go to it now`);
    this.#away = false;
    while (this.#buffer.waiting > 0) {
      const { action, retryAfter } = await this.#sendRound(connection);
      if (action === null) continue;
      const pause = Math.max(this.#backoff.pause(), retryAfter);
      if (action >= Action.RECONNECT) connection.close();
      if (action >= Action.RETRY) this.#tellWaiters();
      if (action === Action.RECONNECT_LATER) return LATER;
      if (action >= Action.RETRY) return pause;
    }
    return 0;
  }

  /** Send a few emits and wait for what becomes of them; return the gravest thing that has to be done. */
  async #sendRound(connection) {
    const batches = this.#takeRound(connection.welcome.limits);
    const answers = await Promise.allSettled(batches.map((batch) => (
      connection.request({ op: 'emit', events: batch.map((event) => new Raw(event.bytes)) }, ACK)
    )));
    const kept = [];
    let action = null;
    let retryAfter = 0;
    let lost = null;
    answers.forEach(({ status, reason }, n) => {
      if (status === 'fulfilled') this.#acked(batches[n]);
      else if (reason instanceof Refused && !connection.ended) {
        kept.push(...this.#judge(reason, batches[n]));
        action = Math.max(action ?? 0, reason.action);
        retryAfter = Math.max(retryAfter, reason.retryAfter);
      } else {
        kept.push(...batches[n]);
        lost = reason;
      }
    });
    this.#buffer.putBack(kept);
    if (lost) throw lost;
    return { action, retryAfter };
  }

  #takeRound(limits) {
    const room = limits.maxFrame - FRAME_ROOM;
    const batches = [];
    while (batches.length < ROUND) {
      const batch = this.#buffer.take(Math.min(EMIT_EVENTS, limits.maxEvents), Math.min(EMIT_BYTES, room));
      if (batch.length === 0) break;
      if (batch[0].bytes.length > room) this.#giveUp('too_large', batch, `an event does not fit into ${room} bytes`);
      else batches.push(batch);
    }
    return batches;
  }

  #acked(batch) {
    this.#backoff.reset();
    this.stats.acked += batch.length;
    this.#buffer.settle(batch);
  }

  /** Give up what a refusal condemns; return the others of its emit. */
  #judge(refusal, batch) {
    const guilty = batch[refusal.index];
    if (refusal.code === 'id_conflict' && guilty) { // it is stored, told in other words: by an import, say
      this.stats.known += 1;
      this.#buffer.settle([guilty]);
      return batch.filter((event) => event !== guilty);
    }
    if (refusal.action >= Action.RETRY) return batch;
    let condemned = batch;
    if (guilty && refusal.action === Action.DROP_EVENT) condemned = [guilty];
    if (guilty && refusal.action === Action.DROP_AGENT) condemned = batch.filter(({ owner }) => owner === guilty.owner);
    this.#giveUp(refusal.code, condemned, refusal.message);
    return batch.filter((event) => !condemned.includes(event));
  }

  #giveUp(reason, batch, why) {
    this.#buffer.settle(batch);
    this.#drop(reason, batch.length, why);
  }

  /** Count events that are lost; the first ones for each reason are told. */
  #drop(reason, number, why) {
    const before = this.stats.dropped[reason] ?? 0;
    this.stats.dropped[reason] = before + number;
    if (before === 0) this.#log.warn(`an event is dropped: ${why}; further ones for this reason are only counted`);
  }

  /** Tell the first failure of an outage; return how long to wait, in milliseconds. */
  #failed(error) {
    if (!this.#away) this.#log.warn(`events cannot go to eventd now, they are held: ${error.message}`);
    this.#away = true;
    this.#tellWaiters();
    return error instanceof Refused && error.action === Action.RECONNECT_LATER ? LATER : this.#backoff.pause();
  }

  #tellWaiters() {
    for (const done of [...this.#waiters]) done();
  }

  /** Pause; a flush ends it. */
  #sleep(pause) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), pause);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
