/** The runs of agents: what became of them, and the subagents that they send out. */

import { minute } from './ids.js';
import { identify } from './identity.js';

const FAILED = new Set(['error', 'timeout', 'killed']); // outcomes of a subagent

export class Runs {
  #recorder;
  #tidy;

  /**
   * @param {import('./recorder.js').Recorder} recorder
   * @param {import('./tidy.js').Tidy} tidy
   */
  constructor(recorder, tidy) {
    this.#recorder = recorder;
    this.#tidy = tidy;
  }

  /** `agent_end` */
  ended(event, ctx) {
    const { success, error, durationMs } = event;
    const phase = success === false ? 'error' : 'end';
    this.#record(phase, identify(event, ctx), 'agent_end', { error, durationMs }, { cwd: ctx.workspaceDir });
  }

  /** `subagent_spawned`: told in the session of who sent it out. */
  spawned(event, ctx) {
    const { childSessionKey, agentId, label, mode, resolvedModel } = event;
    const who = this.#sender(event, ctx, childSessionKey);
    this.#record('start', who, 'subagent_spawned', { childSessionKey, agentId, label, mode, model: resolvedModel });
  }

  /** `subagent_ended` */
  returned(event, ctx) {
    const { targetSessionKey, targetKind, reason, outcome, error, endedAt } = event;
    const who = this.#sender(event, ctx, targetSessionKey);
    const phase = FAILED.has(outcome) ? 'error' : 'end';
    const data = { childSessionKey: targetSessionKey, targetKind, reason, outcome, error };
    this.#record(phase, who, 'subagent_ended', data, { time: endedAt });
  }

  #sender(event, ctx, childSessionKey) {
    const who = identify({}, { sessionKey: ctx.requesterSessionKey || childSessionKey });
    return { ...who, runId: event.runId ?? ctx.runId ?? childSessionKey };
  }

  #record(phase, who, hook, data, more = {}) {
    this.#recorder.record(who, {
      type: `lifecycle.${phase}`,
      stream: 'lifecycle',
      id: ['run', who.runId || minute(Date.now()), phase],
      data: this.#tidy.value({ phase, ...data }),
      origin: 'agent',
      hook,
      ...more,
    });
  }
}
