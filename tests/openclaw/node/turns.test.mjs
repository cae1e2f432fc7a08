/** The same words in several hooks are recorded once, other words are not taken for them. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { lib } from './lib.mjs';

const { Turns } = await lib('turns');
const { answers, textOf } = await lib('messages');
const LONG = 'The early train is the cheaper one, and it has a dining car.';
let turns;

beforeEach(() => {
  turns = new Turns();
});

test('what the model says is told once in a run, and again in the next', () => {
  assert.ok(turns.isNewlySpoken('s', 'r1', 'Done.'));
  assert.ok(!turns.isNewlySpoken('s', 'r1', ' Done. '));
  assert.ok(turns.isNewlySpoken('s', 'r2', 'Done.'));
  assert.ok(turns.isNewlySpoken('other', 'r1', 'Done.'));
});

test('what was delivered after that is known, whole or in pieces, of this run or the one before', () => {
  turns.isNewlySpoken('s', 'r1', LONG);
  assert.ok(!turns.isNewlyDelivered('s', '', LONG));
  assert.ok(!turns.isNewlyDelivered('s', '', LONG.slice(0, 30)));
  turns.run('s', 'r2');
  assert.ok(!turns.isNewlyDelivered('s', '', LONG.slice(30)));
  assert.ok(turns.isNewlyDelivered('s', 'r2', LONG), 'this run has not said it');
  assert.ok(turns.isNewlyDelivered('s', '', 'Something else, which nobody has said.'));
});

test('what was delivered before that is known, in pieces, too', () => {
  turns.run('s', 'r1');
  assert.ok(turns.isNewlyDelivered('s', '', LONG.slice(0, 30)));
  assert.ok(turns.isNewlyDelivered('s', '', LONG.slice(30)));
  assert.ok(!turns.isNewlySpoken('s', 'r1', LONG));
});

test('a late delivery of the last answer does not hide that the next one is the same', () => {
  turns.isNewlySpoken('s', 'r1', LONG);
  turns.run('s', 'r2');
  turns.isNewlyDelivered('s', '', LONG);
  assert.ok(turns.isNewlySpoken('s', 'r2', LONG));
});

test('short texts are no pieces', () => {
  turns.isNewlySpoken('s', 'r1', 'I looked at it.');
  assert.ok(turns.isNewlyDelivered('s', '', 'ok'));
});

test('a prompt is known when a channel has brought it, each message for one run', () => {
  turns.heard('s', 'Book  Vienna');
  assert.ok(!turns.isHeard('s', 'Something else'));
  assert.ok(turns.isHeard('s', '[Telegram Ada] Book Vienna'));
  assert.ok(!turns.isHeard('s', 'Book Vienna'));
});

test('sessions and runs are forgotten, the oldest first', () => {
  for (let n = 0; n < 2000; n += 1) turns.isNewlySpoken(`s${n}`, 'r', 'x');
  assert.ok(turns.isNewlySpoken('s0', 'r', 'x'));
  assert.ok(!turns.isNewlySpoken('s1999', 'r', 'x'));
});

test('the answers of a run are those since it began', () => {
  const say = (role, timestamp) => ({ role, timestamp, content: [{ type: 'text', text: String(timestamp) }] });
  const messages = [say('user', 1), say('assistant', 2), say('user', 3), say('assistant', 4), say('user', 5), { role: 'toolResult', timestamp: 6 }, say('assistant', 7)];
  assert.deepEqual(answers(messages, NaN).map((m) => m.timestamp), [7]);
  assert.deepEqual(answers(messages, 3).map((m) => m.timestamp), [4, 7]);
  assert.deepEqual(answers(undefined, NaN), []);
  assert.deepEqual(answers([null, 'x', { role: 'assistant' }], NaN), [{ role: 'assistant' }]);
  assert.equal(textOf([{ type: 'thinking', thinking: 'no' }, { type: 'text', text: 'a' }, null, { type: 'text', text: 'b' }]), 'a\nb');
});
