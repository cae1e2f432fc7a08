/** What is held while eventd is away has bounds; when they are reached, the newest goes, and that is told once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lib } from './lib.mjs';

const { EventBuffer } = await lib('buffer');
const { Sender } = await lib('sender');

const event = (n) => ({ bytes: Buffer.alloc(10, n), owner: 'main' });

test('events are taken in their order, by number and by size, at least one at a time', () => {
  const buffer = new EventBuffer(100, 1000);
  for (let n = 0; n < 10; n += 1) assert.ok(buffer.put(event(n)));
  assert.equal(buffer.take(3, 1000).length, 3);
  assert.equal(buffer.take(9, 25).length, 2);
  assert.equal(buffer.take(9, 1).length, 1);
  assert.deepEqual([buffer.held, buffer.waiting], [10, 4]);
});

test('what was not stored comes first again', () => {
  const buffer = new EventBuffer(100, 1000);
  for (let n = 0; n < 4; n += 1) buffer.put(event(n));
  const taken = buffer.take(2, 1000);
  buffer.putBack(taken.slice(1));
  buffer.settle(taken.slice(0, 1));
  assert.deepEqual(buffer.take(9, 1000).map(({ bytes }) => bytes[0]), [1, 2, 3]);
});

test('number and bytes have bounds, and room comes back', () => {
  const few = new EventBuffer(2, 1000);
  assert.deepEqual([1, 2, 3].map((n) => few.put(event(n))), [true, true, false]);
  few.settle(few.take(1, 1000));
  assert.ok(few.put(event(4)));
  const small = new EventBuffer(100, 25);
  assert.deepEqual([1, 2, 3].map((n) => small.put(event(n))), [true, true, false]);
});

test('long queues are worked off, in order', () => {
  const buffer = new EventBuffer(100_000, 1e9);
  for (let n = 0; n < 50_000; n += 1) buffer.put({ bytes: Buffer.alloc(1), n });
  const seen = [];
  for (let batch = buffer.take(200, 1e6); batch.length; batch = buffer.take(200, 1e6)) {
    buffer.settle(batch);
    seen.push(...batch.map(({ n }) => n));
  }
  assert.deepEqual(seen, Array.from({ length: 50_000 }, (_, n) => n));
  assert.equal(buffer.held, 0);
});

test('a sender without eventd drops the newest, counts them, and tells it once', async () => {
  const told = [];
  const log = { info() {}, warn: (text) => told.push(text) };
  const link = { open: () => Promise.reject(new Error('nobody is there')), close() {} };
  const sender = new Sender(link, log, { maxEvents: 3 });
  for (let n = 0; n < 5; n += 1) sender.put({ id: `e-${n}`, agent: 'main', session: 'agent:main:main' });
  assert.deepEqual([sender.held, sender.stats.taken, sender.stats.dropped], [3, 3, { buffer_full: 2 }]);
  assert.equal(await sender.flush(5000), false, 'it waits for no more than the next attempt');
  assert.equal(told.filter((text) => text.includes('dropped')).length, 1);
  assert.equal(told.filter((text) => text.includes('nobody is there')).length, 1);
});
