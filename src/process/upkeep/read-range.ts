/**
 * Reads a range of the log that is durable, whole and in bounded steps.
 */
import { check } from '../../base/check.ts';
import type { Log, LogRecord } from '../../log/log.ts';

const READ_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Gives every record from `from` to before `to` to `take`; its bytes are valid until that returns.
 * @throws AppError `log_gone` when retention has taken one of them.
 */
export async function readRange(
  log: Log,
  partition: number,
  { from, to }: { from: number; to: number },
  take: (record: LogRecord) => void,
): Promise<void> {
  for (let next = from; next < to; ) {
    const limits = { recordsMax: to - next, bytesMax: READ_BYTES_MAX, waitMs: 0 };
    const records = await log.read(partition, next, limits);
    check(records.length > 0, `the log holds ${next} to ${to}`);
    for (const record of records) take(record);
    next += records.length;
  }
}
