/**
 * How the Spark job does, where one processes the log: from the rows that it writes about itself
 * (schema/007_spark_progress.sql).
 */
import type { Store } from '../../store/store.ts';
import type { Spark, SparkProgress } from './answer.ts';

/** Without a micro-batch for longer, what the last one has told is not how it is now. */
const NOW_MS_MAX = 60_000;
/** Of what is drawn: how far back, and the length of a step. */
const RECENT_MS = 10 * 60_000;
const STEP_MS = 10_000;

/** Null when no job has written of this log within the day that its rows are kept. */
export async function readSpark(store: Store, logId: number, nowMs: number): Promise<Spark | null> {
  const [newest] = await store.select<SparkProgress & { at: number }>(
    `SELECT toUnixTimestamp64Milli(at) AS at, batch, rows, input_rate, process_rate, batch_ms,
       insert_ms, lag, executors
     FROM spark_progress AS p WHERE log_id = {log_id:UInt32} ORDER BY p.at DESC LIMIT 1`,
    { log_id: logId },
  );
  if (newest === undefined) return null;
  const recent = await store.select<Spark['recent'][number]>(
    `SELECT intDiv(toUnixTimestamp64Milli(at), ${STEP_MS}) * ${STEP_MS} AS time,
       max(batch_ms) AS batch_ms, max(lag) AS lag
     FROM spark_progress
     WHERE log_id = {log_id:UInt32} AND at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
     GROUP BY time ORDER BY time`,
    { log_id: logId, since_ms: nowMs - RECENT_MS },
  );
  const { at, ...progress } = newest;
  return {
    seen_at: new Date(at).toISOString(),
    now: nowMs - at > NOW_MS_MAX ? null : progress,
    recent,
  };
}
