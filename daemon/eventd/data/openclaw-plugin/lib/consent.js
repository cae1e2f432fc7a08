/**
 * What a person has said about being recorded: `.eventd-ignore` in an agent's workspace, and `eventd off` in a session.
 * Where it is so, nothing is recorded, and the agent is told nothing.
 */

import { homedir } from 'node:os';
import { join } from 'node:path';

import { identify } from './identity.js';
import { Ignored } from './ignored.js';
import { Switches, stateFolder, switchIn } from './switches.js';

const MAX_KNOWN = 1_000; // agents, sessions and subagents that are remembered, of each the newest
const MAX_ABOVE = 8; // sessions above a subagent's

export class Consent {
  #ignored;
  #switches;
  #workspaceOf;
  #folders = new Map(); // agent or session key to the folder in which it was seen at work
  #parents = new Map(); // session key of a subagent to who sent it out

  /**
   * @param {(agent: string) => unknown} workspaceOf What OpenClaw says of an agent's folder before a hook tells it.
   * @param {import('./log.js').Log} log
   * @param {{state?: string | null, ignored?: Ignored}} given For tests.
   */
  constructor(workspaceOf, log, { state = stateFolder(), ignored = new Ignored() } = {}) {
    this.#workspaceOf = workspaceOf;
    this.#switches = new Switches(state, log);
    this.#ignored = ignored;
  }

  /** Any hook was called: it may say where the agent works. */
  meet(event, ctx) {
    const folder = ctx.workspaceDir;
    if (typeof folder !== 'string' || !folder) return;
    const { agent, session } = identify(event, ctx);
    remember(this.#folders, agent, folder);
    remember(this.#folders, session, folder);
  }

  /** A subagent was sent out: it works for who sent it, with what was said there. */
  follow(parentKey, childKey) {
    if (!isKey(parentKey) || !isKey(childKey)) return;
    const [parent, child] = [parentKey, childKey].map((sessionKey) => identify({}, { sessionKey }));
    if (parent.session === child.session) return;
    remember(this.#parents, child.session, parent);
    if (this.#switches.isOff(parent)) this.#switches.turnOff(parent, child);
  }

  /**
   * A person has said something.
   *
   * @returns {boolean} Whether it was about recording, which is not recorded itself.
   */
  listen(who, text) {
    const said = switchIn(text);
    if (said === 'off') this.#switches.turnOff(who);
    if (said === 'on') this.#switches.turnOn(who);
    return said !== '';
  }

  /** @param {import('./identity.js').Identity} who @returns {boolean} Whether nothing is to be recorded or told. */
  isSilent(who) {
    for (let n = 0, one = who; one && n < MAX_ABOVE; one = this.#parents.get(one.session), n += 1) {
      if (this.#isIgnored(one) || this.#switches.isOff(one)) return true;
    }
    return false;
  }

  #isIgnored({ agent, session }) {
    const seen = this.#folders.get(session) ?? this.#folders.get(agent);
    const folders = new Set([seen, this.#workspaceOf(agent)]);
    return [...folders].some((folder) => typeof folder === 'string' && this.#ignored.has(folder));
  }
}

/**
 * @param {object} api OpenClaw's plugin API.
 * @returns {(agent: string) => unknown} The workspace of an agent: as OpenClaw says, or as its configuration does.
 */
export function workspaces(api) {
  const known = new Map();
  return (agent) => {
    if (!known.has(agent)) remember(known, agent, workspace(api, agent));
    return known.get(agent);
  };
}

function workspace({ runtime, config }, agent) {
  try {
    const found = runtime?.agent?.resolveAgentWorkspaceDir?.(config, agent);
    if (typeof found === 'string' && found) return found;
  } catch {
    // an older one, or another; the configuration is there as well
  }
  const { list, defaults } = config?.agents ?? {};
  const own = (Array.isArray(list) ? list : []).find((one) => one?.id === agent)?.workspace;
  const base = join(homedir(), '.openclaw', agent === 'main' ? 'workspace' : `workspace-${agent}`);
  return own ?? defaults?.workspace ?? base;
}

function isKey(value) {
  return typeof value === 'string' && value.trim() !== '';
}

function remember(map, key, value) {
  map.delete(key);
  map.set(key, value); // the newest stand last
  if (map.size > MAX_KNOWN) map.delete(map.keys().next().value);
}
