/** What a person has switched off is neither recorded nor told, until it is switched on. */

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { lib } from './lib.mjs';

const { Consent, workspaces } = await lib('consent');
const { Ignored } = await lib('ignored');
const { Switches, stateFolder, switchIn } = await lib('switches');

const base = realpathSync(mkdtempSync(join(tmpdir(), 'consent-')));
after(() => rmSync(base, { recursive: true }));

let number = 0;
function folder(...below) {
  number += 1;
  const path = join(base, String(number), ...below);
  mkdirSync(path, { recursive: true });
  return path;
}

function quiet() {
  const told = [];
  return { told, warn: (text) => told.push(text), info() {} };
}

const ADA = { agent: 'main', session: 'agent:main:telegram:direct:42', sessionId: '', runId: '' };
const BOB = { ...ADA, session: 'agent:main:telegram:direct:43' };

for (const [text, said] of [
  ['eventd off', 'off'], ['  Eventd   OFF. ', 'off'], ['eventd on!', 'on'], ['eventd\non', 'on'],
  ['[Telegram Ada id:42 2026-09-06 10:00] eventd off', 'off'], ['eventd off\n[message_id: 7]', 'off'],
  ['Conversation info (untrusted metadata):\n```json\n{"message_id": "7"}\n```\n\neventd off', 'off'],
  ['eventd', ''], ['say eventd off', ''], ['eventd off, please', ''], ['eventd offline', ''], ['', ''], [undefined, ''], [7, ''],
  ['eventd off'.padEnd(100_000), ''],
]) test(`a switch: ${JSON.stringify(text)?.slice(0, 60)}`, () => assert.equal(switchIn(text), said));

test('what looks like the beginning of a switch is read in one go', () => {
  for (const piece of ['a', ' ', '[', '[a]', '(untrusted', '(untrusted)\n```\n', '\n[message_id:', '\n ', '.', '!']) {
    const begin = performance.now();
    switchIn(piece.repeat(16_000 / piece.length));
    assert.ok(performance.now() - begin < 1_000, piece);
  }
});

test('the state lies where the other hooks have it', () => {
  assert.equal(stateFolder({ XDG_STATE_HOME: '/s', HOME: '/h' }), '/s/eventd');
  assert.ok(stateFolder({ XDG_STATE_HOME: 's', HOME: '/h' }).startsWith('/h/'));
  assert.equal(stateFolder({ HOME: '' }), null);
});

test('a session is off until it is on, also after a start, and no other is', () => {
  const state = join(folder(), 'eventd');
  new Switches(state, quiet()).turnOff(ADA);
  const again = new Switches(state, quiet());
  assert.ok(again.isOff(ADA));
  assert.ok(!again.isOff(BOB));
  again.turnOn(ADA);
  assert.ok(!again.isOff(ADA));
  assert.deepEqual(readdirSync(join(state, 'off')), []);
});

test('both names of a session are off, whichever a hook says, and on again together', () => {
  const state = folder();
  const switches = new Switches(state, quiet());
  const byId = { ...ADA, session: 'agent:main:s-1', sessionId: 's-1' };
  switches.turnOff(ADA);
  assert.ok(!switches.isOff(byId), 'nobody has said that it is the same');
  assert.ok(switches.isOff({ ...ADA, sessionId: 's-1' }));
  assert.ok(switches.isOff(byId));
  assert.ok(readdirSync(join(state, 'off')).includes('openclaw-s-1'), 'by which `import sessions` knows it');
  assert.ok(switches.isOff({ ...ADA, sessionId: 's-2' }), 'the conversation goes on');
  switches.turnOn(ADA);
  for (const who of [ADA, byId, { ...ADA, sessionId: 's-2' }]) assert.ok(!switches.isOff(who));
});

test('files are not followed out of their folder, and there are not more and more of them', () => {
  const state = folder();
  const switches = new Switches(state, quiet());
  mkdirSync(join(state, 'off'), { mode: 0o700 });
  for (let n = 0; n < 2_000; n += 1) writeFileSync(join(state, 'off', `openclaw-${n}`), '');
  utimesSync(join(state, 'off', 'openclaw-77'), 1, 1);
  switches.turnOff({ ...ADA, session: 'agent:main:2009' });
  const names = readdirSync(join(state, 'off'));
  assert.equal(names.length, 2_000);
  assert.ok(!names.includes('openclaw-77'), 'the oldest one');
  assert.ok(switches.isOff({ ...ADA, session: 'agent:main:2009' }));
  writeFileSync(join(state, 'precious'), '');
  for (const name of names) writeFileSync(join(state, 'off', name), '../precious\nopenclaw-/../../precious\n');
  switches.turnOn({ ...ADA, session: 'agent:main:2009' });
  assert.ok(readdirSync(state).includes('precious'));
});

test('where nothing can be written it holds for this process, and is told once', () => {
  const open = folder();
  chmodSync(open, 0o777);
  for (const state of [null, open, '/proc/nothing/eventd']) {
    const log = quiet();
    const switches = new Switches(state, log);
    switches.turnOff(ADA);
    switches.turnOff(BOB);
    assert.ok(switches.isOff(ADA));
    switches.turnOn(ADA);
    assert.ok(!switches.isOff(ADA));
    assert.ok(switches.isOff(BOB));
    assert.equal(log.told.length, 1);
  }
});

test('a folder is ignored by a file in it or above it, up to the home', () => {
  const home = folder('home');
  mkdirSync(join(home, 'a', 'b'), { recursive: true });
  mkdirSync(join(home, 'c'));
  const has = (path) => new Ignored({ home }).has(path);
  writeFileSync(join(home, '..', '.eventd-ignore'), '');
  assert.ok(!has(join(home, 'a', 'b')), 'above the home');
  assert.ok(has(join(home, '..')));
  symlinkSync('/nowhere', join(home, 'a', '.eventd-ignore'));
  for (const path of [join(home, 'a'), join(home, 'a', 'b'), join(home, 'a', 'not', 'there'), '~/a']) assert.ok(has(path), path);
  for (const path of [join(home, 'c'), 'a', '', `${home}/a\0`]) assert.ok(!has(path), path);
  symlinkSync(join(home, 'a', 'b'), join(home, 'c', 'link'));
  assert.ok(has(join(home, 'c', 'link')));
});

test('it is looked at again after a while', () => {
  let now = 0;
  const home = folder();
  const ignored = new Ignored({ home, now: () => now });
  assert.ok(!ignored.has(home));
  writeFileSync(join(home, '.eventd-ignore'), '');
  now = 9_999;
  assert.ok(!ignored.has(home));
  now = 10_000;
  assert.ok(ignored.has(home));
  rmSync(join(home, '.eventd-ignore'));
  now = 20_000;
  assert.ok(!ignored.has(home));
});

test('where an agent works is remembered for the hooks that do not say it', () => {
  const place = folder();
  writeFileSync(join(place, '.eventd-ignore'), '');
  const consent = new Consent(() => undefined, quiet(), { state: folder() });
  assert.ok(!consent.isSilent(ADA));
  consent.meet({}, { sessionKey: ADA.session, workspaceDir: place });
  assert.ok(consent.isSilent(ADA));
  assert.ok(consent.isSilent(BOB), 'another session of the same agent');
  assert.ok(!consent.isSilent({ ...ADA, agent: 'scout', session: 'agent:scout:main' }));
  consent.meet({}, { sessionKey: BOB.session, workspaceDir: base });
  assert.deepEqual([consent.isSilent(ADA), consent.isSilent(BOB)], [true, false]);
});

test('before a hook has said it, OpenClaw or its configuration does', () => {
  const config = { agents: { list: [null, { id: 'scout', workspace: '/w/scout' }], defaults: { workspace: '/w' } } };
  const resolve = (given, agent) => (given === config ? `/r/${agent}` : undefined);
  assert.equal(workspaces({ config, runtime: { agent: { resolveAgentWorkspaceDir: resolve } } })('scout'), '/r/scout');
  const fail = () => { throw new Error('none'); };
  const of = workspaces({ config, runtime: { agent: { resolveAgentWorkspaceDir: fail } } });
  assert.deepEqual([of('scout'), of('main')], ['/w/scout', '/w']);
  assert.match(workspaces({})('main'), /\.openclaw\/workspace$/);
});

test('subagents are as silent as who sent them out, and no parent is turned on by its child', () => {
  const state = folder();
  const child = { ...ADA, session: 'agent:scout:subagent:1', agent: 'scout' };
  const consent = new Consent(() => undefined, quiet(), { state });
  consent.follow(ADA.session, child.session);
  consent.follow(child.session, ADA.session); // a loop ends
  assert.ok(!consent.isSilent(child));
  assert.ok(consent.listen(ADA, 'eventd off'));
  assert.ok(consent.isSilent(child));
  consent.follow(ADA.session, child.session);
  assert.ok(new Consent(() => undefined, quiet(), { state }).isSilent(child), 'after a start');
  consent.listen(child, 'eventd on');
  assert.ok(consent.isSilent(ADA));
  consent.follow(ADA.session, child.session);
  consent.listen(ADA, 'eventd on');
  assert.ok(!consent.isSilent(ADA) && !consent.isSilent(child));
});
