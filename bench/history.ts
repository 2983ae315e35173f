/** Days of the synthetic shop that are over, in a whole system, for what is measured on many rows. */
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { fillHistory } from '../src/demo/traffic.ts';
import type { Store } from '../src/store/store.ts';
import { type SystemProcess, untilStored } from '../test/system.ts';

/** Sends them through the collector; resolves when all are stored. */
export async function sendHistory(
  system: SystemProcess,
  days: number,
  events: number,
): Promise<void> {
  const to = {
    url: system.url,
    key: 'shop-dev-key',
    clock: realClock,
    logger: createLogger('error'),
    signal: new AbortController().signal,
  };
  await fillHistory(to, days, events);
  await untilStored(system);
}

/** Resolves when the engine has merged what it wants to merge. */
export async function untilMerged(store: Store): Promise<void> {
  for (let quiet = 0; quiet < 8; ) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const [row] = await store.select<{ merges: number }>(
      'SELECT count() AS merges FROM system.merges',
    );
    quiet = row?.merges === 0 ? quiet + 1 : 0;
  }
}
