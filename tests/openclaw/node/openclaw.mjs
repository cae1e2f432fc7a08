/**
 * OpenClaw as a plugin sees it: registers the plugin's hooks and calls them as OpenClaw 2026.9.6 does.
 *
 * node openclaw.mjs CONFIG: CONFIG is JSON with `plugin` (its config), `policy` (`plugins.entries.eventd.hooks`) and
 * `mode` (`registrationMode`). Each line on stdin is JSON: {id, hook, event, ctx} calls a hook; its answer is a line
 * {id, result, sync} on stdout, where `sync` says whether the caller had nothing to wait for. {id, hooks: true} asks which hooks there are, {id, log: true} for what was logged. It ends with its input.
 */

import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';

const PLUGIN = process.env.PLUGIN;
const { plugin: pluginConfig, policy, mode = 'full' } = JSON.parse(process.argv[2]);

// As `registerTypedHook` of OpenClaw's loader, for a plugin that is not bundled.
const CONVERSATION = new Set([
  'before_model_resolve', 'agent_turn_prepare', 'before_prompt_build', 'before_agent_reply', 'llm_input', 'llm_output',
  'before_agent_finalize', 'agent_end', 'before_agent_run',
]);
const INJECTION = new Set(['agent_turn_prepare', 'before_prompt_build', 'heartbeat_prompt_contribution']);
const FAIL_CLOSED = new Set(['before_agent_run', 'before_tool_call', 'before_install']);

const hooks = new Map();
const log = [];

const api = {
  id: 'eventd',
  name: 'eventd',
  source: PLUGIN,
  registrationMode: mode,
  config: { plugins: { entries: { eventd: { enabled: true, config: pluginConfig, ...(policy ? { hooks: policy } : {}) } } } },
  pluginConfig,
  runtime: { version: '2026.9.6' },
  logger: Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, (text) => log.push({ level, text })])),
  on(name, handler, options) {
    if (INJECTION.has(name) && policy?.allowPromptInjection === false) return;
    if (CONVERSATION.has(name) && policy?.allowConversationAccess !== true) return;
    hooks.set(name, { handler, timeoutMs: options?.timeoutMs });
  },
};

/** As the hook runner: copies go in, an error skips the handler, or blocks what it guards. */
async function call(name, event, ctx) {
  const hook = hooks.get(name);
  if (!hook) return { result: 'not registered' };
  let result;
  try {
    result = hook.handler(structuredClone(event), structuredClone(ctx));
  } catch (error) {
    return { result: FAIL_CLOSED.has(name) ? { block: true } : { failed: String(error) } };
  }
  const sync = !(result instanceof Promise);
  try {
    return { result: (await result) ?? null, sync };
  } catch (error) {
    return { result: { failed: String(error) }, sync };
  }
}

const { default: plugin } = await import(pathToFileURL(PLUGIN));
const registered = plugin.register(api);
if (registered instanceof Promise) throw new Error('register has to be synchronous');

const answer = (id, reply) => process.stdout.write(`${JSON.stringify({ id, ...reply })}\n`);

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, hook, event, ctx, ...asked } = JSON.parse(line);
  if (asked.hooks) answer(id, { result: [...hooks.keys()] });
  else if (asked.log) answer(id, { result: log });
  else call(hook, event, ctx).then((reply) => answer(id, reply));
});
