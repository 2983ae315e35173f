/**
 * Where the work on a partition begins: after what is committed, with the batch that was open, if one
 * was. Only the intent is looked at, so a start costs the same after a year as after a minute.
 */
import { AppError } from '../base/errors.ts';
import { decodeRecord } from '../event/wire.ts';
import type { Committed, LogRecord } from '../log/log.ts';
import type { Partition } from './partition.ts';
import type { LastPlace } from './records.ts';

/** A batch as it stands in the note of the log's committed offset: `offset` is its `from`. */
export interface Intent {
  from: number;
  to: number;
  batch_id: number;
}

/** A leader that was just elected may be some moments behind in what it gives. */
const READ_WAIT_MS = 1_000;

export interface Begin {
  offset: number;
  /** Of the last batch. */
  batchId: number;
  /** Begun, and not known to be in the store. */
  open: Intent | undefined;
}

/**
 * Every place that the store has of this log was begun by an intent on it. If there are later ones,
 * the log is an older copy, whose next offsets are taken, and new records would pass for stored. Of
 * a log that is shared only the group's offsets may be old, or gone: it is the same log if it has
 * the record that was stored last, and then the store says where to go on. That record is looked at
 * in any case: brokers that have lost records give their offsets to others, which nobody would read.
 * @throws AppError `log_corrupt`, `taken_over`, `store_…`.
 */
export async function findBegin(p: Partition, committed: Committed): Promise<Begin> {
  const { log, records, partition } = p;
  const intent = committed.note === '' ? undefined : (JSON.parse(committed.note) as Intent);
  const begunEnd = Math.max(committed.offset, intent?.to ?? 0);
  const looksFrom = log.isExclusive ? begunEnd : Math.max(0, committed.offset - 1);
  const last = await records.last(p, looksFrom);
  const isBehind = last !== undefined && last.log_offset >= begunEnd;
  // Or it is another one's by now, who has gone on; then this is refused.
  if (isBehind && !log.isExclusive) await log.commit(partition, committed.offset, committed.note);
  if (last !== undefined && !log.isExclusive) await refuseOtherRecords(p, last);
  if (!isBehind) {
    const open = intent !== undefined && intent.to > committed.offset ? intent : undefined;
    // Offsets that were set with the tools of Kafka have no note, and numbers are not used twice.
    const batchId = Math.max(intent?.batch_id ?? 0, last?.batch_id ?? 0);
    return { offset: committed.offset, batchId, open };
  }
  if (log.isExclusive) {
    throw new AppError(
      'log_corrupt',
      `The store holds records of partition ${partition} up to ${last.log_offset}, and the log folder ` +
        `has begun to store them up to ${begunEnd}: the folder is an older copy. Put back the newest ` +
        'one, or move it away to begin a new log.',
    );
  }
  const offset = last.log_offset + 1;
  const note = { from: offset, to: offset, batch_id: last.batch_id } satisfies Intent;
  // Others go by it as well, and the next record may be long in coming.
  await log.commit(partition, offset, JSON.stringify(note));
  p.logger.warn(
    { partition, committed: committed.offset, offset },
    'the committed offset is older than what is stored: it goes on after that',
  );
  return { offset, batchId: last.batch_id, open: undefined };
}

/** The record at the place that was stored last must be the one that was stored, or be deleted. */
async function refuseOtherRecords(p: Partition, last: LastPlace): Promise<void> {
  const limits = { recordsMax: 1, bytesMax: 1, waitMs: READ_WAIT_MS, signal: p.signal };
  let record: LogRecord | undefined;
  try {
    [record] = await p.log.read(p.partition, last.log_offset, limits);
  } catch (error) {
    if (error instanceof AppError && error.code === 'log_gone') return;
    throw error;
  }
  if (record === undefined && p.signal.aborted) return;
  const isSame =
    record !== undefined && (last.event_id === '' || idOf(record.bytes) === last.event_id);
  if (isSame) return;
  throw new AppError(
    'log_corrupt',
    `Place ${last.log_offset} of partition ${p.partition} is stored, and the log has ` +
      `${record === undefined ? 'no record' : 'another record'} there: the brokers have lost records ` +
      'that they had acknowledged. What is stored is safe; name another topic to go on.',
  );
}

function idOf(bytes: Uint8Array): string {
  try {
    const wire = decodeRecord(bytes);
    return 'rejected' in wire ? wire.rejected.event_id : wire.event.event_id;
  } catch {
    // It was kept as unprocessable, under an id that says nothing of the record.
    return '';
  }
}
