/**
 * How fresh the store is: every record that was received before a time is in it. The log knows,
 * because it has what waits, and so does the spool before it, which has what is not on the log yet.
 */
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Log, Spooled } from '../log/log.ts';

export interface Freshness {
  /** Every record received before this time (ms since 1970) is in the store, or is refused there. */
  storedUntilMs(): Promise<number>;
}

/** `spooled` is what this process has; that of others is not known here. */
export function createFreshness(
  log: Pick<Log, 'stats'>,
  clock: Clock,
  spooled?: () => Spooled,
): Freshness {
  let asking: Promise<number> | undefined;
  let lastMs = 0;

  async function ask(): Promise<number> {
    // Before it is asked: what comes after that is not known to be stored.
    const nowMs = clock.now();
    // And before the log: what leaves the spool meanwhile is found there.
    const spooledMs = spooled?.().oldestMs ?? nowMs;
    try {
      const { oldestWaitingMs } = await log.stats();
      lastMs = Math.min(nowMs, spooledMs, ...oldestWaitingMs.filter((ms) => ms !== undefined));
    } catch (error) {
      // What was true the last time still is, and is getting old, but for an append that ran then.
      if (!(error instanceof AppError)) throw error;
      lastMs = Math.min(lastMs, spooledMs);
    }
    return lastMs;
  }

  return {
    storedUntilMs() {
      asking ??= ask().finally(() => {
        asking = undefined;
      });
      return asking;
    },
  };
}
