/** OpenClaw's logger, with our name before each line; a logger that fails disturbs nobody. */

export class Log {
  #logger;

  /** @param {{info?: Function, warn?: Function}} logger The plugin API's. */
  constructor(logger) {
    this.#logger = logger ?? {};
  }

  /** @param {string} text */
  info(text) {
    this.#write('info', text);
  }

  /** @param {string} text */
  warn(text) {
    this.#write('warn', text);
  }

  #write(level, text) {
    try {
      this.#logger[level]?.(`eventd: ${text}`);
    } catch {
      // there is nobody to tell
    }
  }
}
