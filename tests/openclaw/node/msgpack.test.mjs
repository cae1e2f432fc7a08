/** The codec says what PROTOCOL.md says, to the byte. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { lib } from './lib.mjs';

const { Raw, decode, encode } = await lib('msgpack');
const { Cutter, frame } = await lib('frames');

const DOCUMENT = readFileSync(process.env.PROTOCOL, 'utf8');
const VECTORS = [...DOCUMENT.matchAll(/^```vector\n([^]*?)^```/gm)].map(([, block]) => {
  const lines = block.trim().split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
  const hex = lines.filter(([key]) => key === 'hex').map(([, value]) => value).join('');
  return { ...Object.fromEntries(lines), frame: Buffer.from(hex, 'hex') };
});

/** What stands for binary data in the document becomes binary data. */
function shown(value) {
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.bin === 'string' && Object.keys(value).length === 1) return Buffer.from(value.bin, 'hex');
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, shown(held)]));
}

test('the document has vectors', () => assert.ok(VECTORS.length > 20));

for (const { name, json, frame: bytes } of VECTORS) {
  test(`vector: ${name}`, () => {
    const message = shown(JSON.parse(json));
    assert.deepEqual(new Cutter().push(bytes), [message]);
    // JavaScript has no 10.0: it writes the integer, which means the same. So does a longer head of a map (de).
    if (!/\d\.0\b/.test(json) && bytes[4] !== 0xde) assert.equal(frame(message).toString('hex'), bytes.toString('hex'));
  });
}

const VALUES = [
  null, true, false, 0, 1, -1, 31, 32, 127, 128, -32, -33, -128, -129, 255, 256, -32768, -32769, 65535, 65536,
  2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1, 2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n,
  0.5, -1e300, '', 'ü'.repeat(20), 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(300), '👋'.repeat(20_000), [], Array(16).fill(1),
  Array(70_000).fill(0), {}, { a: { b: [{ c: null }] } }, Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`k${n}`, n])),
  Buffer.from([1, 2]), Buffer.alloc(300), Buffer.alloc(70_000), JSON.parse('{"__proto__": {"x": 1}}'),
];

VALUES.forEach((value, n) => test(`value ${n} comes back`, () => assert.deepEqual(decode(encode(value)), value)));

test('messages are cut out of portions of any size', () => {
  const messages = [{ op: 'pong', id: 1 }, { op: 'result', id: 2, data: { text: 'x'.repeat(500) } }, { op: 'ack', id: 3, ids: [] }];
  const bytes = Buffer.concat(messages.map(frame));
  for (const size of [1, 2, 3, 5, 100, bytes.length]) {
    const cutter = new Cutter();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...cutter.push(bytes.subarray(at, at + size)));
    assert.deepEqual(found, messages);
  }
});

test('bytes that are no value are refused', () => {
  for (const hex of ['', 'c1', 'd4', 'a5aa', '92c0', '81c0c0', 'c0c0', 'c7010101', '9f', 'dfffffffff', '91'.repeat(500)]) {
    assert.throws(() => decode(Buffer.from(hex, 'hex')), RangeError, hex);
  }
  assert.throws(() => new Cutter().push(Buffer.from('ffffffff', 'hex')), RangeError);
});

test('what is undefined in a map is left out, and msgpack goes in as it is', () => {
  assert.deepEqual(decode(encode({ a: undefined, b: new Raw(encode([1])) })), { b: [1] });
});

test('half of a surrogate pair becomes something that eventd takes', () => {
  assert.equal(decode(encode('a\ud800')), 'a\ufffd');
});
