/** Where sessions begin and end, and what becomes of them in between. */

import { digest, minute } from './ids.js';
import { identify } from './identity.js';
import { summaryIn } from './messages.js';

export class Sessions {
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

  /** `session_start` */
  started(event, ctx) {
    const { sessionId, resumedFrom } = event;
    this.#record('session.start', 'session_start', event, ctx, {
      id: ['start', ...(resumedFrom ? ['resume', now()] : [])],
      data: { phase: 'start', sessionId, resumedFrom },
    });
  }

  /** `session_end` */
  ended(event, ctx) {
    const { sessionId, reason = 'unknown', messageCount, durationMs, nextSessionId } = event;
    this.#record('session.end', 'session_end', event, ctx, {
      id: ['end', reason, now()],
      data: { phase: 'end', sessionId, reason, messageCount, durationMs, nextSessionId },
    });
  }

  /** `before_reset` */
  resetting(event, ctx) {
    const { reason = 'unknown', messages } = event;
    this.#record('session.reset', 'before_reset', event, ctx, {
      id: ['reset', reason, now()],
      data: { phase: 'reset', reason, messageCount: Array.isArray(messages) ? messages.length : undefined },
    });
  }

  /** `before_compaction` */
  compacting(event, ctx) {
    const { messageCount, compactingCount, tokenCount } = event;
    this.#record('session.compaction_start', 'before_compaction', event, ctx, {
      id: ['compaction-start', now()],
      data: { phase: 'start', ...known({ messageCount, compactingCount, tokenCount }) },
    });
  }

  /** `after_compaction`: it is over; what became of the messages is not said here, see `summarised`. */
  compacted(event, ctx) {
    const { messageCount, compactedCount, tokenCount, previousSessionId } = event;
    this.#record('session.compaction_end', 'after_compaction', event, ctx, {
      id: ['compaction-end', now()],
      data: { phase: 'end', ...known({ messageCount, compactedCount, tokenCount }), previousSessionId },
    });
  }

  /** `before_prompt_build`: the first prompt after a compaction shows the summary. */
  summarised(event, ctx) {
    const found = summaryIn(event.messages);
    const summary = this.#tidy.text(found?.summary);
    if (!summary.trim()) return;
    // The same in every prompt from here on, so it is of no run.
    this.#record('session.compaction_end', 'before_prompt_build', {}, { ...ctx, runId: '' }, {
      id: ['compaction-end', digest(summary)],
      data: { phase: 'end', summary, ...known({ tokensBefore: found.tokensBefore }) },
      time: found.timestamp,
    });
  }

  #record(type, hook, event, ctx, telling) {
    const data = this.#tidy.value(telling.data);
    const stream = type.includes('compaction') ? 'compaction' : 'session';
    this.#recorder.record(identify(event, ctx), {
      ...telling, type, stream, data, origin: 'agent', hook, cwd: ctx.workspaceDir,
    });
  }
}

function now() {
  return minute(Date.now());
}

/** Counts that OpenClaw knows; -1 says that it does not. */
function known(counts) {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => Number.isFinite(count) && count >= 0));
}
