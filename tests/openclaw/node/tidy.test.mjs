/** Whatever a hook hands over becomes something that eventd takes; nothing raises. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lib } from './lib.mjs';

const { Redaction } = await lib('redaction');
const { Tidy } = await lib('tidy');
const tidy = new Tidy(new Redaction());

test('what JSON cannot hold becomes what says so', () => {
  const loop = { name: 'loop' };
  loop.self = loop;
  assert.deepEqual(
    tidy.value({
      nan: NaN, big: 2n ** 70n, fun() {}, none: undefined, date: new Date(0), map: new Map([['a', 1]]), set: new Set([1]),
      bytes: Buffer.from('abc'), error: new Error('e'), loop, sparse: [1, undefined, Symbol('s')],
    }),
    {
      nan: 'NaN', big: String(2n ** 70n), date: '1970-01-01T00:00:00.000Z', map: { a: 1 }, set: [1], bytes: '[3 bytes]',
      error: 'Error: e', loop: { name: 'loop', self: '[circular]' }, sparse: [1, null, null],
    },
  );
});

test('it is a copy', () => {
  const given = { list: [1] };
  const copy = tidy.value(given);
  given.list.push(2);
  assert.deepEqual(copy, { list: [1] });
});

test('size, number and depth have bounds', () => {
  let deep = 'end';
  for (let n = 0; n < 10_000; n += 1) deep = [deep];
  assert.ok(JSON.stringify(tidy.value(deep)).length < 200);
  assert.ok(JSON.stringify(tidy.value({ a: 'x'.repeat(1e6), b: 'y '.repeat(1e6) })).length < 210_000);
  assert.ok(tidy.value(Array(1e5).fill(0)).length <= 5_000);
  assert.equal(tidy.value({ image: 'iVBORw0KGgo'.repeat(1000) }).image, '[11000 characters of base64]');
});

test('a key that means something to JavaScript is a key', () => {
  const copy = tidy.value(JSON.parse('{"__proto__": {"polluted": true}}'));
  assert.equal(copy.polluted, undefined);
  assert.equal(JSON.stringify(copy), '{"__proto__":{"polluted":true}}');
});
