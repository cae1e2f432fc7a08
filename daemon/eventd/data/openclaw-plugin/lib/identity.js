/** Whose event it is: the agent, and the session key. */

const DEFAULT_AGENT = 'main';
const MAX_AGENT = 64; // bytes that eventd takes
const MAX_SESSION = 512;
const SHARED = new Set(['group', 'channel']);

/**
 * @typedef {object} Identity
 * @property {string} agent
 * @property {string} session Session key, `agent:<agent>:…`.
 * @property {string} sessionId The transcript's id, "" where the hook does not say.
 * @property {string} runId "" where the hook does not say.
 */

/**
 * @param {Record<string, any>} event What a hook was called with,
 * @param {Record<string, any>} ctx and where; what it says of the agent is what OpenClaw itself goes by.
 * @returns {Identity}
 */
export function identify(event, ctx) {
  const key = text(ctx.sessionKey) || text(event.sessionKey);
  const sessionId = text(ctx.sessionId) || text(event.sessionId);
  const agent = agentName(text(ctx.agentId) || agentOf(key) || DEFAULT_AGENT);
  return {
    agent,
    session: cut(qualified(key || sessionId || place(ctx) || DEFAULT_AGENT, agent), MAX_SESSION),
    sessionId,
    runId: text(event.runId) || text(ctx.runId),
  };
}

/** @param {string} key Session key. @returns {string} The agent that it names: segment 2 of `agent:<id>:…`. */
export function agentOf(key) {
  const [scheme, agent] = key.split(':');
  return scheme === 'agent' ? (agent ?? '') : '';
}

/** @param {string} key Session key. @returns {boolean} Whether others than the agent's person take part. */
export function isShared(key) {
  return key.split(':').slice(2).some((segment) => SHARED.has(segment));
}

/** @param {string} key Session key. @returns {boolean} Whether an agent, and no person, gave the task. */
export function isSubagent(key) {
  return key.split(':').includes('subagent');
}

/** A key that names no agent would name another one: its part before the first colon. */
function qualified(key, agent) {
  return key.startsWith('agent:') ? key : `agent:${agent}:${key}`;
}

/** Where a message came in for which OpenClaw names no session. */
function place(ctx) {
  return [ctx.channelId, ctx.conversationId].filter((part) => typeof part === 'string' && part).join(':');
}

/** A name that eventd takes: OpenClaw's own are, those of other programs may not be. */
function agentName(name) {
  return cut(name.replace(/[^\p{L}\p{N}._-]/gu, '_'), MAX_AGENT);
}

function cut(name, bytes) {
  while (Buffer.byteLength(name) > bytes) name = name.slice(0, Math.min(name.length - 1, bytes));
  return name;
}

function text(value) {
  return typeof value === 'string' ? value.trim() : '';
}
