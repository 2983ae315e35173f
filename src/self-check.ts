/**
 * The start's last step: an event is sent through the whole path and read back.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Store } from './store/store.ts';

export const SELF_CHECK_PROJECT = 'self-check';

/** How long it waits while no batch is stored. */
const STUCK_MS_MAX = 10_000;
/** The same when a large one may go first: its ids are asked for, and its INSERT may take a minute. */
const STUCK_BEHIND_MS_MAX = 180_000;
const SEND_AGAIN_MS = 250;
const LOOK_AGAIN_MS = 10;

interface SelfCheck {
  /** Address of the collector, and a write key of `SELF_CHECK_PROJECT`. */
  url: string;
  key: string;
  store: Store;
  clock: Clock;
  /** Changes while the processor gets on. */
  progress: () => number;
  /** What waits on the log goes first, in batches that may be large. */
  isBehind: boolean;
  /** Ends the check without a result. */
  signal: AbortSignal;
}

/** @throws AppError `self_check_failed` when nothing has got on for too long. */
export async function checkSelf(check: SelfCheck): Promise<void> {
  const { url, key, store, clock, progress, isBehind, signal } = check;
  const stuckMsMax = isBehind ? STUCK_BEHIND_MS_MAX : STUCK_MS_MAX;
  const event_id = randomUUID();
  const body = JSON.stringify({ event_name: 'self_check', event_id });
  const headers = { authorization: `Bearer ${key}` };
  let seen = progress();
  let movedMs = clock.elapsed();
  let isSent = false;
  while (!signal.aborted) {
    let missing = 'was accepted but is not in the store';
    if (isSent) {
      const found = await isStored(store, event_id);
      if (found === true) return;
      if (found !== false) missing += `: ${found}`;
    } else {
      const response = await fetch(`${url}/v1/events`, { method: 'POST', headers, body });
      const answer = await response.text();
      isSent = response.status === 202;
      if (!isSent) missing = `was answered ${response.status}: ${answer}`;
    }
    if (seen !== progress()) {
      seen = progress();
      movedMs = clock.elapsed();
    }
    if (clock.elapsed() - movedMs > stuckMsMax)
      throw new AppError('self_check_failed', `The event of the self-check ${missing}.`);
    await clock.sleep(isSent ? LOOK_AGAIN_MS : SEND_AGAIN_MS);
  }
}

/** Whether the store has it, or what the store says instead. */
async function isStored(store: Store, event_id: string): Promise<boolean | string> {
  try {
    const [row] = await store.select<{ found: number }>(
      `SELECT count() AS found FROM events
       WHERE project_id = {project:String} AND event_name = 'self_check' AND event_id = {event_id:String}`,
      { project: SELF_CHECK_PROJECT, event_id },
    );
    return row?.found === 1;
  } catch (error) {
    if (error instanceof AppError && error.code.startsWith('store_')) return error.message;
    throw error;
  }
}
