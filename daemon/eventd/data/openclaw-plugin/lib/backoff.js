/** How long to wait before the next attempt: longer each time, and never exactly as long as the others do. */

const FIRST = 100; // ms
const LONGEST = 5000; // ms
const FACTOR = 2;

export class Backoff {
  #next = FIRST;

  /** @returns {number} Milliseconds to wait now. */
  pause() {
    const pause = this.#next * (0.5 + Math.random() / 2);
    this.#next = Math.min(this.#next * FACTOR, LONGEST);
    return pause;
  }

  /** Begin anew: it worked. */
  reset() {
    this.#next = FIRST;
  }
}
