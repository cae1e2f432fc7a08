/** How long things wait, by a clock that the test turns. */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { lib } from './lib.mjs';

const { Backoff } = await lib('backoff');
const { Refused } = await lib('codes');
const { Reminder } = await lib('reminder');
const { Sender } = await lib('sender');

const log = { info() {}, warn() {} };
const who = { agent: 'main', session: 'agent:main:main', sessionId: 's' };

/** Let everything happen that needs no time. */
async function settle() {
  for (let n = 0; n < 20; n += 1) await turn();
}

/** Begin something, and tell whether it is done. */
function begin(promise) {
  const state = { done: false };
  promise.then((value) => Object.assign(state, { done: true, value }));
  return state;
}

test('the first turn of a session waits a second for a hanging eventd, the next ones do not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let answer;
  const link = { open: async () => ({ request: () => new Promise((resolve) => { answer = resolve; }) }) };
  const reminder = new Reminder(link, log);
  const first = begin(reminder.text(who, ''));
  t.mock.timers.tick(999);
  await settle();
  assert.equal(first.done, false);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(first, { done: true, value: '' });
  const second = begin(reminder.text(who, ''));
  await settle();
  assert.deepEqual(second, { done: true, value: '' }, 'without the clock');
  answer({ data: { text: 'late' } });
  await settle();
  assert.equal(await reminder.text(who, ''), 'late', 'an answer that came late is taken');
});

test('an eventd that is away is asked again in the next turn, and held up nobody', async () => {
  let there = false;
  const link = {
    open: async () => {
      if (!there) throw new Error('nobody is there');
      return { request: async () => ({ data: { text: 'now' } }) };
    },
  };
  const reminder = new Reminder(link, log);
  assert.equal(await reminder.text(who, ''), '');
  there = true;
  assert.equal(await reminder.text(who, ''), 'now');
});

test('what is refused for now is sent again after a pause, as long as eventd wants it to be', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let asked = 0;
  const connection = {
    ended: null,
    welcome: { limits: { maxFrame: 1e6, maxEvents: 1000 } },
    request: async () => {
      asked += 1;
      if (asked === 1) throw new Refused({ code: 'slow_down', message: 'scripted', retryAfterMs: 700 });
      return {};
    },
    close() {},
  };
  const sender = new Sender({ open: async () => connection }, log);
  sender.put({ id: 'e-1', agent: 'main', session: 's' });
  await settle();
  t.mock.timers.tick(699);
  await settle();
  assert.equal(asked, 1);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual([asked, sender.held], [2, 0]);
});

test('a person has to act: the next attempt is half a minute later, or when it is the last', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tries = 0;
  const open = async () => {
    tries += 1;
    throw new Refused({ code: 'unauthorised', message: 'scripted' });
  };
  const sender = new Sender({ open, close() {} }, log);
  sender.put({ id: 'e-1', agent: 'main', session: 's' });
  await settle();
  t.mock.timers.tick(29_999);
  await settle();
  assert.equal(tries, 1);
  const flushed = begin(sender.flush(1_500));
  await settle();
  assert.deepEqual([tries, flushed], [2, { done: true, value: false }]);
  t.mock.timers.tick(30_000);
  await settle();
  assert.equal(tries, 3);
});

test('pauses grow, are never the same, and begin anew', () => {
  mock.method(Math, 'random', () => 1);
  const backoff = new Backoff();
  assert.deepEqual(Array.from({ length: 8 }, () => backoff.pause()), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  backoff.reset();
  assert.equal(backoff.pause(), 100);
  Math.random.mock.mockImplementation(() => 0);
  assert.equal(backoff.pause(), 100);
});
