/** What a person marks as private, and what looks like a secret, goes nowhere. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lib } from './lib.mjs';

const { isAllPrivate, withoutPrivate } = await lib('privacy');
const { Redaction } = await lib('redaction');
const { Tidy } = await lib('tidy');

const tidy = new Tidy(new Redaction());
const GITHUB = `ghp_${'a1'.repeat(18)}`;

test('private parts are left out, also one that is never closed', () => {
  assert.equal(withoutPrivate('a <private>b\nc</private> d <PRIVATE>e</PRIVATE>'), 'a [private] d [private]');
  assert.equal(withoutPrivate('a <private>b'), 'a [private]');
  assert.equal(withoutPrivate('a <private>b <private>c</private> d</private> e'), 'a [private] e');
  assert.equal(withoutPrivate('a </private> b <private></private>c'), 'a </private> b [private]c');
  assert.equal(withoutPrivate('<private>a</private> <private>b'), '[private] [private]');
  assert.equal(withoutPrivate('<private >a</ private> < Private\n>b</private\t>c'), '[private] [private]c');
  assert.ok(isAllPrivate(withoutPrivate(' <private>b</private>\n')));
  assert.ok(!isAllPrivate('hello'));
});

for (const [text, expected] of [
  [`token ${GITHUB}!`, 'token [redacted:github-token]!'],
  ['sk-ant-api03-abcdefghijklmnop', '[redacted:anthropic-key]'],
  ['AKIAABCDEFGHIJKLMNOP', '[redacted:aws-key]'],
  ['password: hunter22', 'password: [redacted:password]'],
  ['postgres://ada:s3cret@db/x', 'postgres://ada:[redacted:url-password]@db/x'],
  ['Authorization: Bearer abcdefghijklmnopqrst', 'Authorization: Bearer [redacted:bearer-token]'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok', '[redacted:private-key]\nok'],
  ['password: [redacted:password]', 'password: [redacted:password]'],
  ['token=$TOKEN and the tokenizer passes', 'token=$TOKEN and the tokenizer passes'],
]) test(`redacted: ${expected}`, () => assert.equal(tidy.text(text), expected));

test('the name of a field says that its text is a secret', () => {
  assert.deepEqual(
    tidy.value({ apiKey: 'swordfish', headers: [{ access_token: 'swordfish' }], monkey: 'swordfish', password: '' }),
    { apiKey: '[redacted:password]', headers: [{ access_token: '[redacted:password]' }], monkey: 'swordfish', password: '' },
  );
});

test('a name may be a secret itself', () => {
  assert.deepEqual(tidy.value({ [GITHUB]: { path: 1 } }), { '[redacted:github-token]': { path: 1 } });
});

test('own patterns are looked for, too; one that is none is told of', () => {
  const told = [];
  const redaction = new Redaction([{ name: 'badge', pattern: 'B-\\d{4}' }, { name: 'bad', pattern: '(' }], (text) => told.push(text));
  assert.equal(redaction.text('B-1234'), '[redacted:badge]');
  assert.equal(told.length, 1);
});

test('a secret that lies across a cut is known as one', () => {
  const text = tidy.text(`${'x '.repeat(99_990)}${GITHUB} and more`);
  assert.ok(!text.includes('ghp_'), text.slice(-60));
  assert.match(text, /\[cut, \d+ characters\]$/);
});

test('long texts are read in one go', () => {
  for (const piece of ['a', '-', 'a-', 'a:', '://', 'eyJ', 'eyJaaaaaaaa.', 'bearer ', '-----BEGIN ', 'A ', '<private', 'password', 'x_', '\\n', ' ']) {
    tidy.text(piece.repeat(200_000 / piece.length));
    tidy.text(`-----BEGIN PRIVATE KEY-----${piece.repeat(100_000 / piece.length)}`);
  }
});
