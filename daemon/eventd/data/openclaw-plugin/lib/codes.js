/**
 * What is done when eventd refuses an emit, by the code of the refusal; the table is that of PROTOCOL.md.
 * A code that is not known here comes from a newer eventd: nothing is lost, nothing is hammered.
 */

/** The actions, mildest first. */
export const Action = Object.freeze({
  DROP_EVENT: 0, // drop the event at `index`, send the others again
  DROP_AGENT: 1, // drop the events with agent and session of the one at `index`, send the others again
  DROP_EMIT: 2, // drop all events of the emit
  RETRY: 3, // keep the events, send them again on the same connection after a pause
  RECONNECT: 4, // keep the events, connect again after a pause
  RECONNECT_LATER: 5, // keep the events, connect again after the longest pause: a person has to act first
});

const ACTIONS = new Map(Object.entries({
  unsupported_protocol: Action.RECONNECT_LATER,
  unauthorised: Action.RECONNECT_LATER,
  malformed: Action.DROP_EVENT,
  too_large: Action.DROP_EVENT,
  id_conflict: Action.DROP_EVENT,
  forgotten: Action.DROP_EVENT,
  forbidden: Action.DROP_EVENT,
  disabled: Action.DROP_AGENT,
  outbox_full: Action.RETRY,
  disk_full: Action.RETRY,
  slow_down: Action.RETRY,
  unavailable: Action.RETRY,
  unknown_op: Action.DROP_EMIT,
  bad_request: Action.DROP_EMIT,
  not_found: Action.DROP_EMIT,
}));

/** @param {string} code @returns {number} One of `Action`. */
export function actionFor(code) {
  return ACTIONS.get(code) ?? Action.RECONNECT;
}

/** eventd has refused a request, or the connection. */
export class Refused extends Error {
  /** @param {{code: string, message: string, hint?: string, index?: number, retryAfterMs?: number}} reply */
  constructor(reply) {
    super(`${reply.code}: ${reply.message}${reply.hint ? ` (${reply.hint})` : ''}`);
    this.code = reply.code;
    this.index = reply.index ?? null; // which event of the emit spoiled it
    this.retryAfter = reply.retryAfterMs ?? 0; // ms
    this.action = actionFor(reply.code);
  }
}
