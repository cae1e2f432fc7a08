/**
 * Which hooks OpenClaw lets the plugin have. One that is not granted is registered without a word and never
 * called, so this is read from the configuration, by the rules of OpenClaw 2026.9.6 (`hook-policy-decisions`).
 */

// Of those that this plugin uses.
const CONVERSATION = new Set(['before_prompt_build', 'llm_output', 'agent_end']);
const INJECTION = new Set(['before_prompt_build']);

/**
 * @param {string[]} hooks
 * @param {Record<string, any> | undefined} policy `plugins.entries.eventd.hooks`.
 * @returns {{granted: string[], blocked: string[]}}
 */
export function sortByGrant(hooks, policy) {
  const isBlocked = (hook) => (
    (CONVERSATION.has(hook) && policy?.allowConversationAccess !== true)
    || (INJECTION.has(hook) && policy?.allowPromptInjection === false)
  );
  return { granted: hooks.filter((hook) => !isBlocked(hook)), blocked: hooks.filter(isBlocked) };
}
