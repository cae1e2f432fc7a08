/** What the plugin's part of OpenClaw's configuration and the environment ask for. */

const ON = new Set(['', '0', 'false', 'no', 'off']); // values of EVENTD_OFF that mean: go on

/**
 * @typedef {object} Settings
 * @property {boolean} capture Whether events are recorded.
 * @property {boolean} inject Whether agents are told what they should remember.
 * @property {boolean} injectInGroups Also where others take part.
 * @property {Set<string> | null} agents Only these; null means all.
 * @property {number | undefined} budget Most characters of what an agent is told.
 * @property {string | undefined} socket
 * @property {string} speaker The agent as which the plugin speaks.
 * @property {{name: string, pattern: string}[]} redact
 */

/**
 * @param {unknown} config `api.pluginConfig`. OpenClaw has checked it; an older one may not have.
 * @param {Record<string, string | undefined>} environ
 * @returns {Settings}
 */
export function readSettings(config, environ = process.env) {
  const given = config !== null && typeof config === 'object' ? config : {};
  const off = given.enabled === false || !ON.has((environ.EVENTD_OFF ?? '').trim().toLowerCase());
  return {
    capture: !off && given.capture !== false,
    inject: !off && given.inject !== false,
    injectInGroups: given.injectInGroups === true,
    agents: Array.isArray(given.agents) ? new Set(given.agents.map(String)) : null,
    budget: Number.isInteger(given.budget) ? given.budget : undefined,
    socket: typeof given.socket === 'string' && given.socket ? given.socket : undefined,
    speaker: typeof given.speaker === 'string' && given.speaker ? given.speaker : 'main',
    redact: Array.isArray(given.redact) ? given.redact.filter((rule) => rule?.name && rule?.pattern) : [],
  };
}
