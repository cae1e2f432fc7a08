/**
 * The events that are held until eventd has them on disk. Pure bookkeeping, without I/O.
 *
 * Full means that the newest event is refused, as `EventLog` of eventd's Python client does: those before it
 * may be under way already, and a story is told from its beginning.
 */

export class EventBuffer {
  #waiting = [];
  #first = 0; // place of the oldest waiting event in #waiting
  #held = 0;
  #bytes = 0;

  /**
   * @param {number} maxEvents
   * @param {number} maxBytes Of the events in their msgpack form.
   */
  constructor(maxEvents, maxBytes) {
    this.maxEvents = maxEvents;
    this.maxBytes = maxBytes;
  }

  /** Events that wait or are under way. */
  get held() {
    return this.#held;
  }

  /** Events that wait. */
  get waiting() {
    return this.#waiting.length - this.#first;
  }

  /**
   * Take an event.
   *
   * @param {{bytes: Uint8Array, owner: string}} event `owner` is its agent and session.
   * @returns {boolean} Whether there was room for it.
   */
  put(event) {
    if (this.#held >= this.maxEvents || this.#bytes + event.bytes.length > this.maxBytes) return false;
    this.#held += 1;
    this.#bytes += event.bytes.length;
    this.#waiting.push(event);
    return true;
  }

  /** Return the oldest waiting events for one emit; at least one, if any waits. */
  take(maxEvents, maxBytes) {
    let end = this.#first;
    let bytes = 0;
    while (end < this.#waiting.length && end - this.#first < maxEvents) {
      bytes += this.#waiting[end].bytes.length;
      if (bytes > maxBytes && end > this.#first) break;
      end += 1;
    }
    const taken = this.#waiting.slice(this.#first, end);
    this.#first = end;
    if (this.#first > 1000 && this.#first * 2 > this.#waiting.length) this.#compact();
    return taken;
  }

  /** Let events wait again, before those that were not sent yet, in their old order. */
  putBack(events) {
    this.#compact();
    this.#waiting = [...events, ...this.#waiting];
  }

  /** Forget events that are stored, or given up. */
  settle(events) {
    this.#held -= events.length;
    for (const event of events) this.#bytes -= event.bytes.length;
  }

  #compact() {
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}
