/** Puts the parts together, and says which hook goes where. */

import { Consent, workspaces } from './consent.js';
import { Conversation, isOfPerson } from './conversation.js';
import { Gateway } from './gateway.js';
import { sortByGrant } from './grants.js';
import { identify, isShared } from './identity.js';
import { Link } from './link.js';
import { Log } from './log.js';
import { Recorder } from './recorder.js';
import { Redaction } from './redaction.js';
import { Reminder } from './reminder.js';
import { Runs } from './runs.js';
import { Sender } from './sender.js';
import { Sessions } from './sessions.js';
import { readSettings } from './settings.js';
import { Tidy } from './tidy.js';
import { Tools } from './tools.js';
import { Turns } from './turns.js';
import { VERSION } from './version.js';

const FLUSH = 1_500; // ms; OpenClaw gives all sessions and plugins together 2 s when it stops
const PROMPT_TIMEOUT = 5_000; // ms that OpenClaw may wait for a reminder; ours is over long before
const LAST = new Set(['shutdown', 'restart']); // reasons of a session's end after which the process ends, too

/** One plugin, as OpenClaw has loaded it. */
export class Plugin {
  #settings;
  #log;
  #link;
  #sender;
  #tidy;
  #consent;
  #openclaw;
  #hasGateway = false;

  /** @param {object} api OpenClaw's plugin API. */
  constructor(api) {
    this.#log = new Log(api.logger);
    this.#settings = readSettings(api.pluginConfig);
    this.#openclaw = api.runtime?.version ?? '';
    const { socket, speaker, redact } = this.#settings;
    const client = `openclaw-plugin ${VERSION}, OpenClaw ${this.#openclaw}`;
    this.#link = new Link({ socket, speaker, client });
    this.#sender = new Sender(this.#link, this.#log);
    this.#tidy = new Tidy(new Redaction(redact, (text) => this.#log.warn(text)));
    this.#consent = new Consent(workspaces(api), this.#log);
  }

  /** Register the hooks; those that are switched off are not even registered. */
  register(api) {
    const { capture, inject } = this.#settings;
    if (!capture && !inject) {
      this.#log.info('switched off: nothing is recorded, and no agent is reminded');
      return;
    }
    const hooks = capture ? this.#recording(api) : {};
    if (inject) hooks.before_prompt_build = this.#reminding(hooks.before_prompt_build);
    hooks.gateway_stop = this.#stopping(hooks.gateway_stop);
    for (const [name, handler] of Object.entries(hooks)) {
      const options = name === 'before_prompt_build' ? { timeoutMs: PROMPT_TIMEOUT } : undefined;
      const whole = (event, ctx) => {
        this.#consent.meet(event, ctx);
        return handler(event, ctx);
      };
      api.on(name, this.#guarded(name, whole), options);
    }
  }

  #isWanted(agent) {
    const { agents } = this.#settings;
    return agents === null || agents.has(agent);
  }

  /** The hooks that record. */
  #recording(api) {
    const put = (event) => this.#sender.put(event);
    const isSilent = (who) => this.#consent.isSilent(who);
    const recorder = new Recorder((event) => this.#isWanted(event.agent) && put(event), this.#openclaw, isSilent);
    const conversation = new Conversation(recorder, this.#tidy, new Turns(), this.#consent);
    const tools = new Tools(recorder, this.#tidy);
    const sessions = new Sessions(recorder, this.#tidy);
    const runs = new Runs(recorder, this.#tidy);
    const hooks = {
      message_received: (event, ctx) => conversation.received(event, ctx),
      before_prompt_build: (event, ctx) => {
        sessions.summarised(event, ctx);
        conversation.prompted(event, ctx);
      },
      before_tool_call: (event, ctx) => tools.called(event, ctx),
      after_tool_call: (event, ctx) => tools.returned(event, ctx),
      llm_output: (event, ctx) => conversation.answered(event, ctx),
      agent_end: (event, ctx) => {
        conversation.ended(event, ctx);
        runs.ended(event, ctx);
        return this.#hasGateway ? undefined : this.#sender.flush(FLUSH); // a process for this one run ends now
      },
      message_sent: (event, ctx) => conversation.delivered(event, ctx),
      session_start: (event, ctx) => sessions.started(event, ctx),
      session_end: (event, ctx) => {
        sessions.ended(event, ctx);
        return LAST.has(event.reason) ? this.#sender.flush(FLUSH) : undefined;
      },
      before_reset: (event, ctx) => sessions.resetting(event, ctx),
      before_compaction: (event, ctx) => sessions.compacting(event, ctx),
      after_compaction: (event, ctx) => sessions.compacted(event, ctx),
      subagent_spawned: (event, ctx) => {
        this.#consent.follow(ctx.requesterSessionKey, event.childSessionKey);
        runs.spawned(event, ctx);
      },
      subagent_ended: (event, ctx) => runs.returned(event, ctx),
    };
    const grants = sortByGrant(Object.keys(hooks), api.config?.plugins?.entries?.[api.id]?.hooks);
    const host = { openclaw: this.#openclaw, ...grants };
    const gateway = new Gateway(new Recorder(put, this.#openclaw), this.#settings, host); // of no agent
    hooks.gateway_start = () => {
      this.#hasGateway = true;
      gateway.started();
    };
    hooks.gateway_stop = (event) => gateway.stopped(event);
    return hooks;
  }

  /** The hook that tells an agent what it should remember, after what else is to be done in it. */
  #reminding(before) {
    const { budget, injectInGroups } = this.#settings;
    const reminder = new Reminder(this.#link, this.#log, budget);
    const first = this.#guarded('before_prompt_build', before ?? ((event, ctx) => this.#listen(event, ctx)));
    return async (event, ctx) => {
      first(event, ctx);
      const who = identify(event, ctx);
      if (!this.#isWanted(who.agent) || (isShared(who.session) && !injectInGroups)) return undefined;
      if (this.#consent.isSilent(who)) return undefined;
      const text = await reminder.text(who, this.#tidy.text(event.currentUserMessage ?? event.prompt));
      return text ? { appendSystemContext: text } : undefined;
    };
  }

  /** Where nothing is recorded, nobody else hears whether a prompt is a switch. */
  #listen(event, ctx) {
    const who = identify(event, ctx);
    if (isOfPerson(who, ctx)) this.#consent.listen(who, event.currentUserMessage ?? event.prompt);
  }

  /** The hook after which this plugin is no more; what is held goes to eventd if eventd is there. */
  #stopping(before) {
    const first = this.#guarded('gateway_stop', before ?? (() => {}));
    return async (event, ctx) => {
      first(event, ctx);
      await this.#sender.flush(FLUSH);
      this.#link.close();
    };
  }

  /** A hook from which nothing comes that OpenClaw did not ask for: a `before_tool_call` that throws stops the tool. */
  #guarded(name, handler) {
    let told = false;
    const fail = (error) => {
      if (!told) this.#log.warn(`the hook ${name} failed, further failures are not told: ${error?.message}`);
      told = true;
    };
    return (event, ctx) => {
      try {
        const result = handler(event ?? {}, ctx ?? {});
        return result instanceof Promise ? result.catch(fail) : undefined;
      } catch (error) {
        fail(error);
        return undefined;
      }
    };
  }
}
