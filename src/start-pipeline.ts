/** What a process tells that has both the log and the store: the sum of the pipeline, and the lag. */
import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { Metrics } from './base/metrics.ts';
import type { Log, Spooled } from './log/log.ts';
import { pipelineGauges } from './process/pipeline/http.ts';
import { keepLag } from './process/pipeline/lag.ts';
import { createPipeline, type Pipeline } from './process/pipeline/pipeline.ts';
import { createRecords } from './process/records.ts';
import type { Upkeep } from './start-upkeep.ts';
import type { Store } from './store/store.ts';

/** What the one has, the other must account for; undefined in a process without both. */
export function openPipeline(parts: {
  metrics: Metrics;
  log: Log | undefined;
  store: Store | undefined;
  clock: Clock;
  lastAudit: Upkeep['lastAudit'];
  spooled: (() => Spooled) | undefined;
}): Pipeline | undefined {
  const { metrics, log, store, clock, lastAudit, spooled } = parts;
  if (log === undefined || store === undefined) return undefined;
  const records = createRecords(store);
  const pipeline = createPipeline({ log, store, records, clock, lastAudit, spooled });
  pipelineGauges(metrics, pipeline, clock);
  return pipeline;
}

/** Begins to write it down; returns what ends that. */
export function startLag(parts: {
  log: Log;
  store: Store;
  clock: Clock;
  logger: Logger;
  onFatal: (error: Error) => void;
}): () => Promise<void> {
  const ended = new AbortController();
  const records = createRecords(parts.store);
  keepLag({ ...parts, records, signal: ended.signal }).catch(parts.onFatal);
  // A row that is on its way ends with the store, which may hang.
  return async () => ended.abort();
}
