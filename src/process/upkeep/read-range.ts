/**
 * Reads a range of the log that is durable, whole and in bounded steps.
 */
import { check } from '../../base/check.ts';
import { AppError } from '../../base/errors.ts';
import type { Log, LogRecord } from '../../log/log.ts';

const READ_BYTES_MAX = 8 * 1024 * 1024;
/** A leader of a shared log that was just elected may be some moments behind in what it gives. */
const READ_WAIT_MS = 1_000;

/**
 * Gives every record from `from` to before `to` to `take`; its bytes are valid until that returns.
 * @throws AppError `log_gone` when retention has taken one of them, `log_unreachable`.
 */
export async function readRange(
  log: Log,
  partition: number,
  { from, to }: { from: number; to: number },
  take: (record: LogRecord) => void,
): Promise<void> {
  for (let next = from; next < to; ) {
    const limits = { recordsMax: to - next, bytesMax: READ_BYTES_MAX, waitMs: READ_WAIT_MS };
    const records = await log.read(partition, next, limits);
    const what = `the log holds ${next} to ${to}`;
    if (records.length === 0 && !log.isExclusive)
      throw new AppError('log_unreachable', `It does not answer yet that ${what}.`);
    check(records.length > 0, what);
    for (const record of records) take(record);
    next += records.length;
  }
}
