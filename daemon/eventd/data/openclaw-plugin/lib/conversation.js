/** What people and agents say to each other. */

import { digest, minute } from './ids.js';
import { identify, isSubagent } from './identity.js';
import { answers, textOf } from './messages.js';
import { isAllPrivate } from './privacy.js';
import { usable } from './recorder.js';

const BY_ITSELF = new Set(['heartbeat', 'cron', 'memory']); // what starts a run when no person does
const MAX_COUNTS = 8; // numbers that a model's usage may have

export class Conversation {
  #recorder;
  #tidy;
  #turns;
  #consent;

  /**
   * @param {import('./recorder.js').Recorder} recorder
   * @param {import('./tidy.js').Tidy} tidy
   * @param {import('./turns.js').Turns} turns
   * @param {import('./consent.js').Consent} consent
   */
  constructor(recorder, tidy, turns, consent) {
    this.#recorder = recorder;
    this.#tidy = tidy;
    this.#turns = turns;
    this.#consent = consent;
  }

  /** `message_received`: a channel has brought a message. */
  received(event, ctx) {
    const who = identify(event, ctx);
    const messageId = event.messageId ?? ctx.messageId;
    const media = mediaOf(event.media ?? event.originalMedia);
    this.#turns.heard(who.session, String(event.content ?? ''));
    if (this.#consent.listen(who, event.content)) return;
    this.#hear({ ...who, sessionId: '' }, event.content, 'message_received', [messageId ?? minute(Date.now())], {
      time: event.timestamp,
      channel: ctx.channelId,
      origin: 'person',
      more: this.#tidy.value({
        from: event.from,
        senderId: event.senderId ?? ctx.senderId,
        senderName: event.metadata?.senderName,
        messageId,
        threadId: event.threadId,
        media: media.length ? media : undefined,
      }),
    });
  }

  /** `before_prompt_build`: a run begins; its prompt is recorded where no channel has brought it. */
  prompted(event, ctx) {
    const who = identify(event, ctx);
    const run = this.#turns.run(who.session, who.runId);
    const prompt = event.currentUserMessage ?? event.prompt;
    if (run.asked || typeof prompt !== 'string' || !prompt.trim()) return;
    run.asked = true;
    // A switch that was heard is done; another one may have come since then.
    if (this.#turns.isHeard(who.session, prompt)) return;
    const isPersons = isOfPerson(who, ctx);
    if (isPersons && this.#consent.listen(who, prompt)) return;
    const own = event.currentUserMessageId ?? (who.runId || minute(Date.now()));
    this.#hear(who, prompt, 'before_prompt_build', [own], {
      channel: ctx.messageProvider,
      cwd: ctx.workspaceDir,
      origin: isPersons ? 'person' : 'agent',
      more: {},
    });
  }

  /** `llm_output`: a model has answered. */
  answered(event, ctx) {
    const who = identify(event, ctx);
    const last = event.lastAssistant;
    if (textOf(last?.content).trim()) return this.#speak(who, last, 'llm_output', ctx);
    for (const text of Array.isArray(event.assistantTexts) ? event.assistantTexts : []) {
      this.#speak(who, { content: text, provider: event.provider, model: event.model }, 'llm_output', ctx);
    }
  }

  /** `agent_end`: a run is over; its messages are there as the transcript has them. */
  ended(event, ctx) {
    const who = identify(event, ctx);
    const run = this.#turns.run(who.session, who.runId);
    for (const message of answers(event.messages, run.asked ? run.began : NaN)) {
      this.#speak(who, message, 'agent_end', ctx);
    }
  }

  /** `message_sent`: a channel has delivered a message. */
  delivered(event, ctx) {
    if (event.success === false || typeof event.content !== 'string') return;
    const who = identify(event, ctx);
    if (!this.#turns.isNewlyDelivered(who.session, who.runId, event.content)) return;
    const messageId = event.messageId ?? ctx.messageId;
    const more = this.#tidy.value({ to: event.to, messageId });
    this.#say({ ...who, sessionId: '' }, event.content, 'message_sent', messageId ?? minute(Date.now()), {
      meta: { channel: ctx.channelId }, more,
    });
  }

  #hear(who, content, hook, own, { time, channel, origin, cwd, more }) {
    const text = this.#tidy.text(content);
    if ((!text.trim() && !more.media) || isAllPrivate(text)) return;
    this.#recorder.record(who, {
      type: 'conversation.message.in',
      stream: 'user',
      id: ['in', ...own, digest(text)],
      data: { role: 'user', text, ...more },
      origin,
      hook,
      time,
      cwd,
      meta: { channel },
    });
  }

  #speak(who, message, hook, ctx) {
    const said = textOf(message.content);
    if (!this.#turns.isNewlySpoken(who.session, who.runId, said)) return;
    const time = usable(message.timestamp);
    this.#say(who, said, hook, minute(time ?? Date.now()), {
      time,
      cwd: ctx.workspaceDir,
      meta: { model: modelOf(message), channel: ctx.messageProvider, usage: usageOf(message) },
      more: {},
    });
  }

  #say(who, said, hook, own, { more, ...rest }) {
    const text = this.#tidy.text(said);
    if (!text.trim() || isAllPrivate(text)) return;
    this.#recorder.record(who, {
      type: 'conversation.message.out',
      stream: 'assistant',
      id: ['out', own, digest(text)],
      data: { role: 'assistant', text, ...more },
      origin: 'agent',
      hook,
      ...rest,
    });
  }
}

/** Whether a person has written a prompt, as far as OpenClaw says it; what it says nothing about counts as theirs. */
export function isOfPerson(who, ctx) {
  const { kind } = ctx.inputProvenance ?? {};
  return (kind === undefined || kind === 'external_user') && !BY_ITSELF.has(ctx.trigger) && !isSubagent(who.session);
}

function modelOf({ provider, model }) {
  return [provider, model].filter((part) => typeof part === 'string' && part).join('/') || undefined;
}

/** How many tokens it took. */
function usageOf({ usage }) {
  const counts = Object.entries(usage ?? {}).filter(([, count]) => Number.isFinite(count));
  return counts.length ? Object.fromEntries(counts.slice(0, MAX_COUNTS)) : undefined;
}

/** What is known of attachments, without where they lie. */
function mediaOf(facts) {
  return (Array.isArray(facts) ? facts : []).map((fact) => ({ kind: fact?.kind, contentType: fact?.contentType }));
}
