/** The gateway's start and stop: a sign of life that says which hooks work, for `eventd doctor`. */

import { VERSION } from './version.js';

export class Gateway {
  #recorder;
  #about;
  #who;

  /**
   * @param {import('./recorder.js').Recorder} recorder
   * @param {import('./settings.js').Settings} settings
   * @param {{openclaw: string, granted: string[], blocked: string[]}} host
   */
  constructor(recorder, settings, { openclaw, granted, blocked }) {
    this.#recorder = recorder;
    this.#who = { agent: settings.speaker, session: '', sessionId: 'gateway', runId: '' };
    this.#about = {
      plugin: VERSION,
      openclaw,
      node: process.version,
      hooks: { granted, blocked },
      inject: settings.inject,
      agents: settings.agents ? [...settings.agents] : null,
    };
  }

  /** `gateway_start` */
  started() {
    this.#record('start', this.#about);
  }

  /** `gateway_stop` */
  stopped(event) {
    this.#record('stop', { reason: typeof event.reason === 'string' ? event.reason : undefined });
  }

  #record(phase, data) {
    this.#recorder.record(this.#who, {
      type: `gateway.${phase}`,
      stream: 'lifecycle',
      id: [phase, Date.now()],
      data: { phase, ...data },
      origin: 'agent',
      hook: `gateway_${phase}`,
    });
  }
}
