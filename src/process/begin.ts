/**
 * Where the work on a partition begins: after what is committed, with the batch that was open, if one
 * was. Only the intent is looked at, so a start costs the same after a year as after a minute.
 */
import { AppError } from '../base/errors.ts';
import { decodeRecord } from '../event/wire.ts';
import type { Committed } from '../log/log.ts';
import type { Partition } from './partition.ts';
import type { LastPlace } from './records.ts';

/** A batch as it stands in the note of the log's committed offset: `offset` is its `from`. */
export interface Intent {
  from: number;
  to: number;
  batch_id: number;
}

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
 * the record that was stored last, and then the store says where to go on.
 * @throws AppError `log_corrupt`, `taken_over`, `store_…`.
 */
export async function findBegin(p: Partition, committed: Committed): Promise<Begin> {
  const { log, records, partition } = p;
  const intent = committed.note === '' ? undefined : (JSON.parse(committed.note) as Intent);
  const begunEnd = Math.max(committed.offset, intent?.to ?? 0);
  const last = await records.last(p, begunEnd);
  if (last === undefined) {
    const open = intent !== undefined && intent.to > committed.offset ? intent : undefined;
    return { offset: committed.offset, batchId: intent?.batch_id ?? 0, open };
  }
  if (log.isExclusive) {
    throw new AppError(
      'log_corrupt',
      `The store holds records of partition ${partition} up to ${last.log_offset}, and the log folder ` +
        `has begun to store them up to ${begunEnd}: the folder is an older copy. Put back the newest ` +
        'one, or move it away to begin a new log.',
    );
  }
  // Or it is another one's by now, who has gone on; then this is refused.
  await log.commit(partition, committed.offset, committed.note);
  await refuseOtherRecords(p, last);
  const offset = last.log_offset + 1;
  p.logger.warn(
    { partition, committed: committed.offset, offset },
    'the committed offset is older than what is stored: it goes on after that',
  );
  return { offset, batchId: last.batch_id, open: undefined };
}

/** The record at the place that was stored last must be the one that was stored. */
async function refuseOtherRecords(p: Partition, last: LastPlace): Promise<void> {
  const limits = { recordsMax: 1, bytesMax: 1, waitMs: 0 };
  const [record] = await p.log.read(p.partition, last.log_offset, limits);
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
