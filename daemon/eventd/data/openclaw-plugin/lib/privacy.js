/** `<private>…</private>`: what a person marks so is never recorded. */

const PRIVATE = /<private>[^]*?(?:<\/private>|$)/gi; // one that is never closed goes to the end
const MARK = '[private]';

/** @param {string} text @returns {string} The text without what is private. */
export function withoutPrivate(text) {
  return text.includes('<') ? text.replace(PRIVATE, MARK) : text;
}

/** @param {string} text Already without what is private. @returns {boolean} Whether nothing else was in it. */
export function isAllPrivate(text) {
  return text.includes(MARK) && text.replaceAll(MARK, '').trim() === '';
}
