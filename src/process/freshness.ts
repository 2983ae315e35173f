/**
 * How fresh the store is: every record that was received before a time is in it. The log knows,
 * because it has what waits.
 */
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Log } from '../log/log.ts';

export interface Freshness {
  /** Every record received before this time (ms since 1970) is in the store, or is refused there. */
  storedUntilMs(): Promise<number>;
}

export function createFreshness(log: Pick<Log, 'stats'>, clock: Clock): Freshness {
  let asking: Promise<number> | undefined;
  let lastMs = 0;

  async function ask(): Promise<number> {
    try {
      // Before it is asked: what comes after that is not known to be stored.
      const nowMs = clock.now();
      const { oldestWaitingMs } = await log.stats();
      lastMs = Math.min(nowMs, ...oldestWaitingMs.filter((ms) => ms !== undefined));
    } catch (error) {
      // What was true the last time still is, and is getting old.
      if (!(error instanceof AppError)) throw error;
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
