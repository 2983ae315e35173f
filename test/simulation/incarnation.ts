/**
 * One life of the process under test: the real log and the real processor on the simulated disk and
 * store, from its start until it ends by itself, is stopped, or dies.
 */
import type { Logger } from '../../src/base/logger.ts';
import type { Metrics } from '../../src/base/metrics.ts';
import { type FileLog, openFileLog } from '../../src/log/file.ts';
import { createProcessor } from '../../src/process/process.ts';
import { createKeyHash } from '../../src/process/window/key-hash.ts';
import type { SimulatedDisk, Surroundings } from './disk.ts';
import type { Plan } from './plan.ts';
import { type Actor, createActor } from './scheduler.ts';
import type { SimulatedStore } from './store.ts';

export const FOLDER = '/data/log';

export interface Incarnation {
  actor: Actor;
  disk: SimulatedDisk;
  /** Undefined until it is open. */
  log: FileLog | undefined;
  /** Ends it in order. */
  stop(): void;
}

export function startIncarnation(
  name: string,
  around: Surroundings,
  plan: Plan,
  {
    disk,
    store,
    onEnd,
  }: {
    disk: SimulatedDisk;
    store: SimulatedStore;
    /** It ended by itself: with a fault, or because it was told to. */
    onEnd: (incarnation: Incarnation, fault: unknown) => void;
  },
): Incarnation {
  const actor = createActor(name);
  const clock = around.scheduler.clockOf(actor);
  const stopping = new AbortController();
  const incarnation: Incarnation = { actor, disk, log: undefined, stop: () => stopping.abort() };
  const failed = Promise.withResolvers<never>();
  const logger = createTraceLogger(name, around.trace);

  async function live(): Promise<void> {
    const log = await openFileLog({
      folder: FOLDER,
      partitions: plan.partitions,
      segmentBytes: plan.segmentBytes,
      keepMs: plan.keepMs,
      keepBytes: 1e9,
      keepAlwaysMs: Math.min(plan.keepMs, 3_600_000),
      bytesInFlightMax: plan.bytesInFlightMax,
      disk: disk.mountFor(actor, plan.slowReads),
      clock,
      logger,
      onFatal: failed.reject,
    });
    incarnation.log = log;
    const processor = createProcessor({
      log,
      records: store.connect(actor),
      clock,
      logger,
      metrics: NO_METRICS,
      batchRowsMax: plan.batchRowsMax,
      batchBytesMax: plan.batchBytesMax,
      batchIntervalMs: plan.batchIntervalMs,
      window: plan.window,
      // With a secret of its own the same seed would not give the same questions to the store.
      keyHash: createKeyHash(new Int32Array(4)),
    });
    await processor.run(stopping.signal);
    await log.close();
  }

  Promise.race([live(), failed.promise]).then(
    () => onEnd(incarnation, undefined),
    (fault: unknown) => onEnd(incarnation, fault),
  );
  return incarnation;
}

const NO_METRICS: Metrics = {
  counter: () => () => undefined,
  gauge: () => undefined,
  histogram: () => () => undefined,
  text: async () => '',
  contentType: '',
};

function createTraceLogger(name: string, trace: Surroundings['trace']): Logger {
  const line = (details: unknown, text?: string): void =>
    trace(() => `${name}: ${text ?? ''} ${JSON.stringify(details)}`);
  const logger: Logger = {
    debug: line,
    info: line,
    warn: line,
    error: line,
    fatal: line,
    child: () => logger,
  };
  return logger;
}
