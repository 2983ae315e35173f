/**
 * Puts `visitor_id` and `session_id` where the sender keeps none (no cookies): hashes with a salt
 * that changes every day, so that they cannot be followed from one day to the next, nor be turned
 * back into an address.
 *
 * - no visitor, but a session: the session is all that is known of the visitor, so it is taken
 * - neither: the hash of project, address and user agent
 * - no session: the hash of the visitor: one session a visitor and day
 */
import { hash } from 'node:crypto';
import type { Step } from '../step.ts';

/** 96 bits: two visitors of one day do not meet by chance. */
const HASH_CHARS = 16;

export function putVisitor(saltOfToday: () => string): Step {
  return ({ projectId, address, userAgent }) => {
    const salted = (...parts: string[]) =>
      hash('sha256', [saltOfToday(), projectId, ...parts].join('\0'), 'base64url').slice(
        0,
        HASH_CHARS,
      );
    let visitor: string | undefined;
    return (event) => {
      if (event.visitor_id === undefined) {
        if (event.session_id === undefined) visitor ??= salted('visitor', address, userAgent);
        event.visitor_id = event.session_id ?? visitor ?? '';
      }
      event.session_id ??= salted('session', event.visitor_id);
      return undefined;
    };
  };
}
