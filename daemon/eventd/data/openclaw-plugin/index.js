/**
 * eventd's plugin for OpenClaw: it records what agents hear, say and do, and tells them at the start of a session
 * what they should remember.
 *
 * Written from the plugin interface of OpenClaw 2026.9.6: `docs/plugins/hooks*` and `docs/plugins/manifest*`, the
 * published types `PluginHook*Event` and `PluginHook*Context`, and what calls them. Nothing of OpenClaw is imported;
 * fields that older versions (from 2026.4.24 on) do not have are optional here.
 *
 * Begin reading at `lib/plugin.js`: hook → `conversation`, `tools`, `sessions`, `runs` or `gateway` → `recorder`
 * (an event) → `sender` (held until eventd has it) → `link` → `connection` (eventd's socket).
 */

import { Plugin } from './lib/plugin.js';

// Ways in which OpenClaw loads a plugin only to read about it or to set it up; `api.runtime` is not there then. In the
// discovery modes the hooks are registered, because `openclaw plugins inspect` shows them and which are blocked.
const ONLY_READ = new Set(['cli-metadata', 'setup-only', 'setup-runtime']);

export default {
  id: 'eventd',
  name: 'eventd',
  description: 'Records what agents hear, say and do in eventd, and reminds them of it',

  /** @param {object} api OpenClaw's plugin API. */
  register(api) {
    if (!ONLY_READ.has(api.registrationMode)) new Plugin(api).register(api);
  },
};
