/**
 * What was said in a session lately, so that nothing is recorded twice.
 *
 * OpenClaw tells the same words in several hooks: a person's message when it comes in and again as a prompt, an
 * agent's answer when the model gives it, when the run ends, and (in pieces) when the channel has delivered it.
 */

const MAX_SESSIONS = 500; // the newest ones that are remembered
const MAX_RUNS = 4; // of a session
const MAX_HEARD = 32; // messages of people that wait for the run that answers them
const MAX_CHARS = 64 * 1024; // of what was said in a run
const PIECE = 16; // characters; a shorter text is hardly a piece of a delivery, but may be in any text by chance

/** What was said in one run. */
class Run {
  /** When it was heard of first, Unix ms. */
  began = Date.now();
  /** Whether its prompt is known. */
  asked = false;
  said = new Set();
  spoken = ''; // by the model
  delivered = ''; // by the channel
}

export class Turns {
  #sessions = new Map();

  /**
   * @param {string} session Session key.
   * @param {string} runId "" means the newest one.
   * @returns {Run}
   */
  run(session, runId) {
    const { runs } = this.#session(session);
    const found = runId ? runs.get(runId) : [...runs.values()].at(-1);
    if (found) return found;
    const run = new Run();
    runs.set(runId, run);
    if (runs.size > MAX_RUNS) runs.delete(runs.keys().next().value);
    return run;
  }

  /** A person's message has come in by a channel. */
  heard(session, text) {
    const { heard } = this.#session(session);
    heard.push(compact(text));
    if (heard.length > MAX_HEARD) heard.shift();
  }

  /** @returns {boolean} Whether a prompt holds messages that came in by a channel; it is known then. */
  isHeard(session, prompt) {
    const held = this.#session(session);
    const whole = compact(prompt);
    const before = held.heard.length;
    held.heard = held.heard.filter((text) => !text || !whole.includes(text));
    return held.heard.length < before;
  }

  /** @returns {boolean} Whether neither the model has said so in this run, nor the channel delivered it. */
  isNewlySpoken(session, runId, text) {
    const run = this.run(session, runId);
    const plain = compact(text);
    if (!plain || run.said.has(plain)) return false;
    run.said.add(plain);
    run.spoken = (run.spoken + plain).slice(-MAX_CHARS);
    return !(plain.length >= PIECE && run.delivered.includes(plain));
  }

  /** @returns {boolean} Whether the model has said neither what the channel has delivered, nor a text around it. */
  isNewlyDelivered(session, runId, text) {
    const plain = compact(text);
    const run = this.run(session, runId);
    // The hook mostly does not say of which run it is, and may come after the next one has begun.
    const candidates = runId ? [run] : [...this.#session(session).runs.values()];
    const isSpoken = ({ spoken }) => (plain.length >= PIECE && spoken.includes(plain)) || spoken.endsWith(plain);
    if (!plain || candidates.some(isSpoken)) return false;
    run.delivered = (run.delivered + plain).slice(-MAX_CHARS);
    return true;
  }

  #session(key) {
    const found = this.#sessions.get(key) ?? { heard: [], runs: new Map() };
    this.#sessions.delete(key);
    this.#sessions.set(key, found); // the newest stand last
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value);
    return found;
  }
}

/** Return a text without white space: channels change that. */
function compact(text) {
  return text.replace(/\s+/g, '').slice(0, MAX_CHARS);
}
