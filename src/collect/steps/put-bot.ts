/**
 * Flags what looks like a machine, and says why. Such events are kept: whoever asks decides.
 * - `user_agent`: the user agent is that of a known crawler, monitor or driven browser
 * - `no_user_agent`: it claims to come from a page and names no browser
 * A program that sends by the API on behalf of people is not flagged: it is not the visitor.
 */
import { isBot } from 'isbot';
import { CACHE_ENTRIES_MAX, CACHE_KEY_CHARS_MAX } from '../limits.ts';
import { remember } from '../recent.ts';
import type { Step } from '../step.ts';

export function putBot(): Step {
  const isMachine = remember((userAgent) => isBot(userAgent), {
    entriesMax: CACHE_ENTRIES_MAX,
    keyCharsMax: CACHE_KEY_CHARS_MAX,
  });
  return ({ fromPage, userAgent }) => {
    let reason: string | undefined;
    if (fromPage && userAgent === '') reason = 'no_user_agent';
    else if (fromPage && isMachine(userAgent)) reason = 'user_agent';
    return (event) => {
      if (reason !== undefined) event.bot = reason;
      return undefined;
    };
  };
}
