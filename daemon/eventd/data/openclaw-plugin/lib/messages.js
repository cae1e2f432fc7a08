/** The messages in which models and OpenClaw's transcripts hold a conversation. */

/**
 * @param {unknown} content A text, or a list of parts.
 * @returns {string} The texts in it; thoughts and tool calls are none.
 */
export function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .filter((part) => part?.type === 'text' && typeof part.text === 'string')
    .map((part) => part.text)
    .join('\n');
}

/**
 * @param {unknown} messages Of a session, oldest first.
 * @param {number} since Unix ms; when the run began. Without a beginning (NaN) a person's words are one.
 * @returns {object[]} What the agent has said since.
 */
export function answers(messages, since) {
  const found = [];
  for (let n = Array.isArray(messages) ? messages.length - 1 : -1; n >= 0; n -= 1) {
    const { role, timestamp } = messages[n] ?? {};
    if (timestamp < since || (role === 'user' && !(timestamp >= since))) break;
    if (role === 'assistant') found.unshift(messages[n]);
  }
  return found;
}

/**
 * @param {unknown} messages Of a session, oldest first.
 * @returns {{summary: string, timestamp: unknown} | undefined} The newest summary of what was compacted.
 */
export function summaryIn(messages) {
  if (!Array.isArray(messages)) return undefined;
  return messages.findLast((message) => message?.role === 'compactionSummary' && typeof message.summary === 'string');
}
