/** Nothing that goes wrong in the plugin reaches OpenClaw, whatever it is called with. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const { default: plugin } = await import(pathToFileURL(join(process.env.PLUGIN, 'index.js')));

function load(more = {}) {
  const hooks = new Map();
  plugin.register({
    id: 'eventd', registrationMode: 'full', config: {}, pluginConfig: { socket: '/nonexistent/eventd.sock' },
    runtime: { version: '2026.9.6' }, logger: { info() {}, warn() {} }, on: (name, handler) => hooks.set(name, handler), ...more,
  });
  return hooks;
}

const thrower = new Proxy({}, {
  get() { throw new Error('poison'); },
  ownKeys() { throw new Error('poison'); },
});
const loop = {};
loop.loop = loop;
const POISON = [
  undefined, null, 7, 'text', [], {}, thrower, loop,
  { content: thrower, messages: thrower, params: thrower, result: thrower },
  { content: 7, messages: 7, params: 7, result: 7, prompt: 7, reason: 7, toolName: 7, toolCallId: {}, sessionId: 7, timestamp: 'never' },
  { content: '\ud800', prompt: '\ud800', messages: [null, 7, { role: 'assistant', content: [null] }, thrower], assistantTexts: [null, {}, '\udfff'] },
  { params: { loop, fun() {}, big: 10n ** 100n }, result: { content: [null, thrower] }, error: Symbol('e'), toolCallId: '\ud800 ü' },
  { get content() { throw new Error('poison'); } },
];

test('no hook throws or rejects, and none but the prompt has anything to say', async () => {
  for (const [name, handler] of load()) {
    for (const event of POISON) {
      for (const ctx of POISON) {
        const result = await handler(event, ctx);
        assert.ok(result === undefined || typeof result === 'boolean', `${name}: ${JSON.stringify(result)}`);
      }
    }
  }
});

test('a decision is never made: the hook before a tool returns nothing, at once', () => {
  const result = load().get('before_tool_call')({ toolName: 'exec', params: {} }, {});
  assert.equal(result, undefined);
});

test('it loads where a part of the interface is missing', () => {
  const names = [...load({ logger: undefined, runtime: undefined, config: undefined, registrationMode: undefined }).keys()];
  assert.ok(names.includes('gateway_start'));
  assert.deepEqual([...load({ pluginConfig: null }).keys()], names);
});

test('a logger that fails disturbs nobody', async () => {
  const logger = { info() { throw new Error('full'); }, warn() { throw new Error('full'); } };
  await load({ logger }).get('gateway_stop')({}, {});
});

for (const mode of ['setup-only', 'setup-runtime', 'cli-metadata']) {
  test(`nothing is registered where OpenClaw only reads: ${mode}`, () => {
    const api = { registrationMode: mode, logger: {}, on: () => assert.fail('registered') };
    Object.defineProperty(api, 'runtime', { get: () => assert.fail('OpenClaw throws here') });
    plugin.register(api);
  });
}

for (const mode of ['discovery', 'tool-discovery', 'full']) {
  test(`the hooks are there to be shown: ${mode}`, () => assert.equal(load({ registrationMode: mode }).size, 16));
}
