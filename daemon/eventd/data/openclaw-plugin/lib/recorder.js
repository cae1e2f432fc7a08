/** Makes events of what the hooks tell, in the shape of OpenClaw's event-store document, and hands them on. */

import { eventId } from './ids.js';
import { Ledger } from './ledger.js';

const EARLIEST = 1_000_000_000_000; // ms; a time before that is in seconds, or none

/**
 * @typedef {object} Telling What a hook tells.
 * @property {string} type Of the event.
 * @property {string} stream Which of the agent's own streams it belongs to.
 * @property {(string | number)[]} id What tells it from others of its session; see `ids.js`.
 * @property {object} data Tidy: nothing in it that JSON cannot hold, and no secrets.
 * @property {'person' | 'agent' | 'tool' | 'web'} origin Who said it.
 * @property {string} hook
 * @property {number} [time] Unix ms, where the hook knows better than the clock.
 * @property {object} [meta] What else is known: `model`, `channel`.
 * @property {string} [cwd]
 */

export class Recorder {
  #put;
  #version;
  #isSilent;
  #ledger = new Ledger();

  /**
   * @param {(event: object) => void} put Takes the events.
   * @param {string} version OpenClaw's.
   * @param {(who: import('./identity.js').Identity) => boolean} isSilent Of whom nothing is recorded.
   */
  constructor(put, version, isSilent = () => false) {
    this.#put = put;
    this.#version = version;
    this.#isSilent = isSilent;
  }

  /**
   * @param {import('./identity.js').Identity} who
   * @param {Telling} telling
   */
  record(who, telling) {
    if (this.#isSilent(who)) return;
    const { type, stream, data, origin, hook, cwd, meta = {} } = telling;
    const { agent, session } = who;
    const runId = who.runId || undefined; // what is not known is left out
    const sessionId = who.sessionId || undefined;
    const content = { type, agent, runId, data };
    const id = this.#ledger.admit(eventId(sessionId ?? session, ...telling.id), content);
    if (id === null) return;
    const timestamp = usable(telling.time) ?? Date.now();
    this.#put({
      type,
      id,
      timestamp,
      agent,
      session: session || undefined,
      payload: { runId, stream, data, sessionKey: session || undefined, ts: timestamp },
      meta: {
        runId,
        ...meta,
        origin,
        source: { tool: 'openclaw', version: this.#version, via: 'plugin', hook, sessionId, cwd },
      },
    });
  }
}

/** @param {unknown} time @returns {number | undefined} Whole milliseconds since 1970, if it is such a time. */
export function usable(time) {
  const ms = typeof time === 'string' ? Date.parse(time) : time;
  return Number.isFinite(ms) && ms >= EARLIEST && ms < 2 ** 53 ? Math.floor(ms) : undefined;
}
