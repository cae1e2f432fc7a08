/**
 * The ids of events, made of OpenClaw's own, so that what is told twice is stored once.
 *
 * They are those of `eventd.sources.ids`, `openclaw:<session id>:<kind>:…`, and go on with
 *
 * | Kind               | In the hook                                  | In the transcript                      |
 * |--------------------|----------------------------------------------|----------------------------------------|
 * | `call`, `result`   | `toolCallId`                                 | `id` of the part `toolCall`; `toolCallId` of the `toolResult` |
 * | `in`               | `messageId` of the channel and the text      | `message_id` above the person's words  |
 * | `in` (no channel)  | `currentUserMessageId` or the run, and the text | –                                   |
 * | `out`              | minute of the message's `timestamp`, and the text | `message.timestamp`, and the text |
 * | `out` (delivered)  | `messageId` of the channel and the text      | –                                      |
 * | `start`            | nothing; the minute where it goes on with another session | the first line            |
 * | `end`              | reason and minute                            | –                                      |
 * | `compaction-start` | minute                                       | –                                      |
 * | `compaction-end`   | minute; the summary, once it is known        | the summary                            |
 * | `run`              | run and what became of it                    | –                                      |
 *
 * A hook that does not know the session's id has its key instead. The text is the one that is recorded, so
 * that nobody can try out passwords on a digest.
 */

import { createHash } from 'node:crypto';

const TOOL = 'openclaw';
const MAX_ID = 128; // bytes; the protocol takes no longer one
const MINUTE = 60_000; // ms
const DIGITS = 16; // of a digest

/**
 * @param {string} session The session's id, or its key.
 * @param {...(string | number)} parts What it is, and what tells it from others of its kind.
 * @returns {string}
 */
export function eventId(session, ...parts) {
  const all = [TOOL, session, ...parts.map(String)];
  const id = all.join(':');
  if (id.length <= MAX_ID && /^[!-~]+$/.test(id)) return id;
  return `${id.replace(/[^!-~]/g, '').slice(0, MAX_ID - DIGITS - 1)}:${digest(JSON.stringify(all))}`;
}

/** @param {number} time Unix ms. @returns {number} */
export function minute(time) {
  return Math.floor(time / MINUTE);
}

/** @param {string} text White space at its ends and in runs does not count. @returns {string} */
export function digest(text) {
  return createHash('sha256').update(text.trim().replace(/\s+/g, ' ')).digest('hex').slice(0, DIGITS);
}
