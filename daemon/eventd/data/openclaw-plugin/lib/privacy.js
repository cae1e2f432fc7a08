/** `<private>…</private>`: what a person marks so is never recorded. */

const MARK = '[private]';

/**
 * @param {string} text Private parts may hold others; one that is never closed goes on to the end.
 * @returns {string} The text with a mark for each private part.
 */
export function withoutPrivate(text) {
  if (!/private/i.test(text)) return text;
  const parts = [];
  let at = 0; // where what is not private goes on
  let depth = 0;
  for (const { 0: tag, 1: slash, index } of text.matchAll(/<\s*(\/?)\s*private\s*>/gi)) {
    if (!slash) {
      if (depth === 0) parts.push(text.slice(at, index), MARK);
      depth += 1;
    } else if (depth > 0) {
      depth -= 1;
      at = index + tag.length;
    }
  }
  return parts.join('') + (depth > 0 ? '' : text.slice(at));
}

/** @param {string} text Already without what is private. @returns {boolean} Whether nothing else was in it. */
export function isAllPrivate(text) {
  return text.includes(MARK) && text.replaceAll(MARK, '').trim() === '';
}
