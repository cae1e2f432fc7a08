/**
 * What an agent is told at the start of a session: asked of eventd once, and the same bytes in each of its
 * turns, so that the provider's cache of the prompt goes on working.
 */

const DEADLINE = 1_000; // ms that the first turn of a session may wait; eventd usually needs 10
const ANSWER = 10_000; // ms for the answer; after that the connection counts as dead
const MAX_SESSIONS = 200; // the newest ones that are remembered
const MAX_QUERY = 2_000; // characters of the first message that are sent along

export class Reminder {
  #link;
  #log;
  #budget;
  #sessions = new Map(); // key to what is known for the session
  #failed = false; // that was told

  /**
   * @param {import('./link.js').Link} link
   * @param {import('./log.js').Log} log
   * @param {number | undefined} budget Most characters; as eventd's configuration says when absent.
   */
  constructor(link, log, budget) {
    this.#link = link;
    this.#log = log;
    this.#budget = budget;
  }

  /**
   * Return what the agent of a session is to be told; "" where there is nothing, or eventd is away.
   *
   * Only the first turn waits for the answer, and not long. One that comes later is taken from the next turn on.
   *
   * @param {import('./identity.js').Identity} who
   * @param {string} query The words with which the session begins.
   * @returns {Promise<string>}
   */
  async text(who, query) {
    const held = this.#session(who.sessionId || who.session);
    if (held.text !== null) return held.text;
    held.asking ??= this.#ask(who, query, held).finally(() => {
      held.asking = null;
    });
    if (held.waited) return '';
    held.waited = !(await isDoneWithin(DEADLINE, held.asking));
    return held.text ?? '';
  }

  async #ask({ agent, session }, query, held) {
    try {
      const connection = await this.#link.open();
      const reply = await connection.request({
        op: 'context', agent, session, query: query.slice(0, MAX_QUERY) || undefined, budget: this.#budget,
      }, ANSWER);
      this.#failed = false;
      held.text = typeof reply.data?.text === 'string' ? reply.data.text : '';
    } catch (error) {
      if (!this.#failed) this.#log.warn(`agents cannot be told what to remember: ${error.message}`);
      this.#failed = true;
    }
  }

  #session(key) {
    const held = this.#sessions.get(key) ?? { text: null, asking: null, waited: false };
    this.#sessions.delete(key);
    this.#sessions.set(key, held); // the newest stand last
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value);
    return held;
  }
}

/** The timer keeps the process alive meanwhile: somebody waits. */
function isDoneWithin(ms, promise) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    promise.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
