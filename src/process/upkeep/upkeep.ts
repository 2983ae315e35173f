/**
 * What is done to rows that are in the store already: audits, healing, erasing, time limits. One
 * after the other, so that none of them meets what another one has half done.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError, type Code } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Log } from '../../log/log.ts';
import type { Store } from '../../store/store.ts';
import type { Records } from '../records.ts';
import { type AuditParts, audit, type TimeRange } from './audit.ts';
import type { AuditReport } from './audit-report.ts';
import { createHealer, type HealParts } from './heal.ts';
import {
  carryOutAll,
  erase,
  expire,
  type Receipt,
  type RemovalParts,
  type Selection,
} from './removals.ts';

export interface UpkeepOptions {
  log: Log;
  store: Store;
  records: Records;
  clock: Clock;
  logger: Logger;
  windowMs: number;
  /** How long events are kept; 0 is for ever. */
  keepMs: number;
  /** Ends what runs. What was begun is carried on by the next start. */
  signal: AbortSignal;
  own: HealParts['own'];
  /** Whether what is due once a day is this process's to do. */
  isDaily(): boolean;
  /** Something was erased: copies of it are still to be recognised. */
  onErased(): Promise<void>;
}

export interface Upkeep {
  /** @throws AppError `store_…`, `stopping`, `too_many_requests`. */
  audit(range: TimeRange, isHealing: boolean): Promise<AuditReport>;
  /** @throws AppError as `audit`. */
  erase(selection: Selection, isDryRun: boolean): Promise<Receipt>;
  /** The last audit since the start. */
  lastAudit(): AuditReport | undefined;
  /**
   * Until the signal fires: finishes removals, audits and heals since `auditFromMs`, if it is given,
   * and keeps the time limit. Rejects on a broken invariant only: events go on coming in.
   */
  run(auditFromMs: number | undefined, onAudited: () => Promise<void>): Promise<void>;
}

const WAITING_MAX = 4;
const RETRY_AFTER_S = 10;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** First wait after the store failed, and the longest. */
const RETRY_MS = 1_000;
/** What a log that is shared adds to it: brokers are away, or a partition has moved meanwhile. */
const PASSES_BY: readonly Code[] = ['log_unreachable', 'taken_over'];
const RETRY_MS_MAX = 60_000;

export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { log, records, clock, logger, signal, own } = options;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let lastAudit: AuditReport | undefined;

  function inTurn<T>(work: (logId: number) => Promise<T>): Promise<T> {
    waiting++;
    const done = last.then(async () => {
      try {
        if (signal.aborted) throw new AppError('stopping', 'The server is shutting down.');
        return await work(await records.registerLog(log.id));
      } finally {
        waiting--;
      }
    });
    last = done.catch(() => undefined);
    return done;
  }

  function asked<T>(work: (logId: number) => Promise<T>): Promise<T> {
    if (waiting < WAITING_MAX) return inTurn(work);
    const message = 'Other audits and removals wait already.';
    throw new AppError('too_many_requests', message, { retryAfterS: RETRY_AFTER_S });
  }

  function whileNobodyWrites(work: () => Promise<void>, partition = 0): Promise<void> {
    if (partition === log.partitions) return work();
    return own(partition, () => whileNobodyWrites(work, partition + 1));
  }

  async function auditOrHeal(
    logId: number,
    range: TimeRange,
    isHealing: boolean,
  ): Promise<AuditReport> {
    const parts: AuditParts & HealParts = { ...options, logId };
    if (!isHealing) {
      lastAudit = await audit(parts, range);
      return lastAudit;
    }
    const healer = createHealer(parts);
    const before = await audit(parts, range, healer.heal);
    const healed = await healer.finish();
    const isChanged = healed.missing + healed.doubled > 0;
    lastAudit = { ...(isChanged ? await audit(parts, range) : before), healed };
    return lastAudit;
  }

  const removalParts = (logId: number): RemovalParts => ({
    ...options,
    logId,
    whileNobodyWrites,
    onRecorded: options.onErased,
  });

  async function finishRemovals(logId: number): Promise<void> {
    const { erased, expired } = await carryOutAll(removalParts(logId));
    if (erased + expired > 0)
      logger.warn({ erased, expired }, 'carried out a removal that was interrupted');
  }

  async function keepLimit(logId: number): Promise<void> {
    const beforeMs = clock.now() - options.keepMs;
    const rows = await expire(removalParts(logId), beforeMs);
    const before = new Date(beforeMs).toISOString();
    logger.info({ before, rows }, 'events older than CLICKSTREAM_KEEP_DAYS were taken out');
  }

  /** Until the store and the log do it, or the signal fires. */
  async function insist(work: (logId: number) => Promise<void>): Promise<void> {
    for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        return await inTurn(work);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AppError)) throw error;
        const { code, message } = error;
        if (!code.startsWith('store_') && !PASSES_BY.includes(code)) {
          logger.error({ err: error }, 'an audit or a removal failed');
          return;
        }
        logger.warn({ code, message, waitMs }, 'an audit or a removal is tried again');
      }
      await clock.sleep(waitMs, signal);
    }
  }

  return {
    audit: (range, isHealing) => asked((logId) => auditOrHeal(logId, range, isHealing)),
    erase: (selection, isDryRun) =>
      asked((logId) => erase(removalParts(logId), selection, isDryRun)),
    lastAudit: () => lastAudit,
    async run(auditFromMs, onAudited) {
      await insist(finishRemovals);
      if (auditFromMs !== undefined) {
        await insist(async (logId) => {
          const range = { fromMs: auditFromMs, toMs: undefined };
          const report = await auditOrHeal(logId, range, true);
          const { healed, closed, partitions, missing, doubled, repeated } = report;
          const isWell = closed && healed?.missing === 0 && healed.doubled === 0;
          const words = 'audited what was stored in the hour before the machine went down';
          const found = { healed, closed, partitions, missing, doubled, repeated };
          logger[isWell ? 'info' : 'warn'](isWell ? { partitions } : found, words);
          await onAudited();
        });
      }
      let dueMs = Number.NEGATIVE_INFINITY;
      while (!signal.aborted) {
        if (options.isDaily() && clock.elapsed() >= dueMs) {
          if (dueMs > 0) await insist(finishRemovals);
          dueMs = clock.elapsed() + DAY_MS;
          if (options.keepMs > 0) await insist(keepLimit);
        }
        // Whose it is to do is not known at once, and may change within the day.
        await clock.sleep(log.isExclusive ? DAY_MS : MINUTE_MS, signal);
      }
    },
  };
}
