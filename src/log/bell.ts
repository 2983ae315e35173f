/** Wakes readers that wait for records. */
import type { Clock } from '../base/clock.ts';

export interface Bell {
  ring(): void;
  /** Resolves when rung, after `waitMs` or when the signal fires. */
  wait(clock: Clock, waitMs: number, signal: AbortSignal | undefined): Promise<void>;
}

export function createBell(): Bell {
  let waiting = new Set<() => void>();
  return {
    ring() {
      const woken = waiting;
      waiting = new Set();
      for (const wake of woken) wake();
    },
    async wait(clock, waitMs, signal) {
      if (signal?.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const over = new AbortController();
      waiting.add(resolve);
      signal?.addEventListener('abort', () => resolve(), { signal: over.signal });
      await Promise.race([promise, clock.sleep(waitMs, over.signal)]);
      waiting.delete(resolve);
      over.abort();
    },
  };
}
