/** Whose event it is, and which id it gets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lib } from './lib.mjs';

const { identify, isShared, isSubagent } = await lib('identity');
const { digest, eventId, minute } = await lib('ids');
const { Ledger } = await lib('ledger');

for (const [event, ctx, agent, session] of [
  [{}, { agentId: 'scout', sessionKey: 'agent:main:main' }, 'scout', 'agent:main:main'],
  [{}, { sessionKey: 'agent:scout:telegram:direct:1' }, 'scout', 'agent:scout:telegram:direct:1'],
  [{ sessionKey: 'agent:ops:main' }, {}, 'ops', 'agent:ops:main'],
  [{}, { sessionKey: 'global' }, 'main', 'agent:main:global'],
  [{}, { sessionKey: 'main:matrix:x' }, 'main', 'agent:main:main:matrix:x'],
  [{ sessionId: 'abc' }, {}, 'main', 'agent:main:abc'],
  [{}, { channelId: 'telegram', conversationId: '42' }, 'main', 'agent:main:telegram:42'],
  [{}, {}, 'main', 'agent:main:main'],
  [{}, { agentId: 'a:b c' }, 'a_b_c', 'agent:a_b_c:main'],
  [{}, { agentId: 42, sessionKey: { x: 1 } }, 'main', 'agent:main:main'],
  [{}, { agentId: 'ü'.repeat(100), sessionKey: 'x'.repeat(1000) }, 'ü'.repeat(32), `agent:${'ü'.repeat(32)}:${'x'.repeat(1000)}`.slice(0, 480)],
]) {
  test(`${JSON.stringify([event, ctx]).slice(0, 60)} is of ${agent.slice(0, 8)}`, () => {
    const found = identify(event, ctx);
    assert.equal(found.agent, agent);
    assert.equal(found.session.slice(0, 480), session);
    assert.ok(Buffer.byteLength(found.session) <= 512);
  });
}

test('the key of a session says who takes part', () => {
  assert.ok(isShared('agent:main:telegram:group:-100'));
  assert.ok(isShared('agent:main:discord:channel:7:thread:8'));
  assert.ok(!isShared('agent:main:main'));
  assert.ok(!isShared('agent:group:main'));
  assert.ok(isSubagent('agent:main:subagent:77'));
});

test('ids are those of eventd.sources.ids', () => {
  assert.equal(eventId('5f1c', 'call', 'toolu_1'), 'openclaw:5f1c:call:toolu_1');
  assert.equal(digest(' a\n b '), digest('a b'));
  assert.equal(digest('a b'), 'c8687a08aa5d6ed2');
  assert.equal(minute(1_790_000_000_000), 29_833_333);
});

test('an id is printable and not too long, whatever it is made of', () => {
  const ids = ['ü', 'ö', 'x y', 'x'.repeat(200), 'x'.repeat(201), '\ud800', '', 7].map((own) => eventId('5f1c', 'in', own));
  for (const id of ids) assert.match(id, /^[!-~]{1,128}$/);
  assert.equal(new Set(ids).size, ids.length);
});

test('the same event is told once; another one with its id gets one of its own', () => {
  const ledger = new Ledger();
  assert.equal(ledger.admit('call:0', { run: 1 }), 'call:0');
  assert.equal(ledger.admit('call:0', { run: 1 }), null);
  assert.equal(ledger.admit('call:0', { run: 2 }), 'call:0~2');
  assert.equal(ledger.admit('call:0', { run: 3 }), 'call:0~3');
  assert.equal(ledger.admit('call:0', { run: 2 }), null);
  assert.ok(ledger.admit('x'.repeat(128), 1));
  assert.ok(ledger.admit('x'.repeat(128), 2).length <= 128);
});
