/**
 * Audits, erasing and time limits of a running system: as the owner of each partition between two
 * of its batches, in the background and when they are asked for.
 */
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Route } from './base/http.ts';
import type { Logger } from './base/logger.ts';
import type { Config } from './config.ts';
import type { Log } from './log/log.ts';
import type { Processor } from './process/process.ts';
import { createRecords } from './process/records.ts';
import type { AuditReport } from './process/upkeep/audit-report.ts';
import type { HealParts } from './process/upkeep/heal.ts';
import { whileHeld } from './process/upkeep/hold.ts';
import { upkeepRoutes } from './process/upkeep/http.ts';
import { createUpkeep } from './process/upkeep/upkeep.ts';
import type { RunningFile } from './running-file.ts';
import type { Store } from './store/store.ts';

interface Parts {
  config: Config;
  clock: Clock;
  logger: Logger;
  onFatal: (error: Error) => void;
  log: Log;
  store: Store;
  processor: Processor;
  running: RunningFile;
  /** Fires when the system stops. */
  signal: AbortSignal;
}

const HOUR_MS = 3_600_000;
/** How long a stop waits for what is under way; it is carried on by the next start. */
const LAST_STEP_MS_MAX = 300;

export interface Upkeep {
  /** For those who may read. */
  routes: Route[];
  lastAudit(): AuditReport | undefined;
  stop(): Promise<void>;
}

/** Begins what is done in the background. */
export function startUpkeep(parts: Parts): Upkeep {
  const { config, clock, log, store, processor, running, signal } = parts;
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () =>
      reject(new AppError('stopping', 'The server is shutting down.')),
    );
  });
  stopped.catch(() => undefined);
  const records = createRecords(store);
  const isOthers = (partition: number): boolean => !log.isExclusive && !processor.owns(partition);
  const own: HealParts['own'] = (partition, work) =>
    // Before the store has answered for the first time a partition has no owner to wait for.
    Promise.race([
      stopped,
      isOthers(partition)
        ? records.registerLog(log.id).then((logId) => whileHeld(records, logId, partition, work))
        : processor.between(partition, async (owned, window) => {
            // What is done here may have been tried before.
            await owned.retake();
            return work({ owner: owned.owner, suspect: window.suspect });
          }),
    ]);
  const upkeep = createUpkeep({
    ...parts,
    records,
    windowMs: config.CLICKSTREAM_WINDOW_HOURS * HOUR_MS,
    keepMs: config.CLICKSTREAM_KEEP_DAYS * 24 * HOUR_MS,
    own,
    async onErased() {
      await processor.erasedIds.load();
      if (log.isExclusive) return;
      // Whoever has a partition reads what is erased when it takes it back; and what this process
      // believes to be its own is found out to be another's.
      for (let partition = 0; partition < log.partitions; partition++)
        await own(partition, async () => undefined);
    },
    // Of several processes one is enough, and there always is one.
    isDaily: () => !isOthers(0),
  });
  const working = upkeep
    .run(running.auditFromMs, () => running.settle())
    .catch((error: Error) => {
      if (!signal.aborted) parts.onFatal(error);
    });
  return {
    routes: upkeepRoutes(upkeep, running.token),
    lastAudit: upkeep.lastAudit,
    async stop() {
      await Promise.race([working, clock.sleep(LAST_STEP_MS_MAX)]);
    },
  };
}
