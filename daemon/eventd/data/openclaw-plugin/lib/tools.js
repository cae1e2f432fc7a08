/** What agents do: the calls of their tools, and what comes of them. */

import { identify } from './identity.js';

// Tools that bring what strangers wrote.
const WEB = /^(?:web[_-]|browser|x_search|firecrawl|tavily|exa_|brave_|perplexity)/i;

export class Tools {
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

  /** `before_tool_call` */
  called(event, ctx) {
    this.#record('call', event, ctx, 'agent', { args: this.#tidy.value(event.params ?? {}) });
  }

  /** `after_tool_call`. Neither a result nor an error is no sign that it went well: then nothing is said of it. */
  returned(event, ctx) {
    const origin = WEB.test(String(event.toolName)) ? 'web' : 'tool';
    this.#record('result', event, ctx, origin, {
      result: this.#tidy.value(plainResult(event.result)),
      isError: event.error !== undefined,
      error: event.error === undefined ? undefined : this.#tidy.text(String(event.error)),
      durationMs: Number.isFinite(event.durationMs) ? event.durationMs : undefined,
    });
  }

  #record(what, event, ctx, origin, more) {
    const who = identify(event, ctx);
    const name = String(event.toolName ?? ctx.toolName ?? '');
    const [toolCallId] = [event.toolCallId, ctx.toolCallId].filter((id) => typeof id === 'string' && id);
    this.#recorder.record(who, {
      type: `conversation.tool_${what}`,
      stream: 'tool',
      id: [what, toolCallId ?? `${who.runId}:${crypto.randomUUID()}`],
      data: { name, toolCallId, ...more },
      origin,
      hook: what === 'call' ? 'before_tool_call' : 'after_tool_call',
      meta: { channel: ctx.channelId },
    });
  }
}

/** Return what a model sees of a result: its texts, and that there were other things. */
function plainResult(result) {
  if (!Array.isArray(result?.content)) return result ?? null;
  return result.content
    .map((part) => part ?? {})
    .map(({ text, type = 'something', mimeType = '' }) => (typeof text === 'string' ? text : `[${type} ${mimeType}]`))
    .join('\n');
}
