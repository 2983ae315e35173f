/**
 * Puts right what the audit found. Whatever ends it in between, nothing is lost by it, and done
 * again it ends with one row at every place.
 */

import { check } from '../../base/check.ts';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Log, LogRecord } from '../../log/log.ts';
import type { Store, Value } from '../../store/store.ts';
import { decode, rowOf } from '../batch.ts';
import { insertsOf, type Records } from '../records.ts';
import { duplicateRow, type Place, rejectedRow, storedRow, unprocessable } from '../row.ts';
import { createErasedIds, type ErasedTimes } from '../window/erased-ids.ts';
import { askCopies, type Decoded } from '../window/load.ts';
import type { Window } from '../window/window.ts';
import type { Found } from './audit.ts';
import { deleteRows } from './delete-rows.ts';
import { readRange } from './read-range.ts';

/** What the owner of a partition may do: write with its number, and make its window ask. */
export interface Owned {
  owner: number;
  suspect: Window['suspect'];
}

export interface HealParts {
  log: Log;
  store: Store;
  records: Records;
  clock: Clock;
  logger: Logger;
  logId: number;
  windowMs: number;
  signal: AbortSignal;
  /** Runs the work as the owner of a partition of the log, while nobody else writes there. */
  own<T>(partition: number, work: (owned: Owned) => Promise<T>): Promise<T>;
}

/** Of a batch that was put together by nobody. */
const HEALED_BATCH = 0;
const INSERT_ROWS_MAX = 5_000;
const INSERT_BYTES_MAX = 4 * 1024 * 1024;
/** Places of one statement, in bytes of the address that they are sent in about 60,000. */
const COPY_PLACES_MAX = 4_000;

interface Healed {
  /** Places that were put back. */
  missing: number;
  /** Places that are there once again. */
  doubled: number;
}

export interface Healer {
  /** Heals what is missing, and makes sure of a copy of what is doubled. */
  heal(found: Found): Promise<void>;
  /** Deletes what is there too often; to be called when everything has been found. */
  finish(): Promise<Healed>;
}

export function createHealer(parts: HealParts): Healer {
  const healed: Healed = { missing: 0, doubled: 0 };
  /** By partition, the number of the batch that its copies have, and where they are. */
  const copies = new Map<number, { batch_id: number; places: Set<number> }>();
  return {
    async heal({ at, missing, doubled }) {
      // Another log may have a writer of its own, which must not be taken its partition from.
      if (at.logId !== parts.logId) return;
      const { partition } = at;
      if (missing.length > 0)
        healed.missing += await parts.own(partition, (owned) =>
          putMissing(parts, owned, partition, missing),
        );
      if (doubled.length === 0) return;
      const made = copies.get(partition) ?? {
        batch_id: await unusedBatch(parts, partition),
        places: new Set(),
      };
      copies.set(partition, made);
      // An audit that has to begin again finds them once more.
      const news = doubled.filter((offset) => !made.places.has(offset));
      for (let i = 0; i < news.length; i += COPY_PLACES_MAX) {
        const places = news.slice(i, i + COPY_PLACES_MAX);
        await parts.own(partition, (owned) => copy(parts, owned, partition, places, made.batch_id));
        for (const offset of places) made.places.add(offset);
      }
    },
    async finish() {
      for (const [partition, { batch_id, places }] of copies) {
        await keepCopies(parts, partition, batch_id, places.size);
        healed.doubled += places.size;
      }
      return healed;
    },
  };
}

async function putMissing(
  parts: HealParts,
  owned: Owned,
  partition: number,
  missing: readonly number[],
): Promise<number> {
  const { log, logId, records } = parts;
  const [from = 0] = missing;
  const to = (missing.at(-1) ?? from) + 1;
  // An insert of an earlier try may have come in since the audit looked.
  await records.settle({ logId, partition });
  const held = await records.held({ logId, partition }, from, to);
  const wanted = new Set(missing);
  for (const { log_offset } of held) wanted.delete(log_offset);
  let group: LogRecord[] = [];
  const groups = [group];
  let bytes = 0;
  await readRange(log, partition, { from, to }, (record) => {
    if (!wanted.has(record.offset)) return;
    bytes += record.bytes.length;
    const [first] = group;
    const isFull = group.length === INSERT_ROWS_MAX || bytes > INSERT_BYTES_MAX;
    if (first !== undefined && (isFull || monthOf(first) !== monthOf(record))) {
      bytes = record.bytes.length;
      group = [];
      groups.push(group);
    }
    group.push({ ...record, bytes: Uint8Array.from(record.bytes) });
  });
  for (const records of groups) await putGroup(parts, owned, partition, records);
  return wanted.size;
}

/**
 * Decides about the records and inserts them as one part; a record that the store refuses by itself
 * is found by halving. Each part is decided anew, from what the store has by then.
 */
async function putGroup(
  parts: HealParts,
  owned: Owned,
  partition: number,
  group: readonly LogRecord[],
): Promise<void> {
  const [first] = group;
  if (first === undefined) return;
  const { logId: log_id, records, logger } = parts;
  const placeOf = ({ offset: log_offset }: LogRecord): Place => ({
    log_id,
    log_partition: partition,
    log_offset,
    batch_id: HEALED_BATCH,
    owner: owned.owner,
  });
  const { rows, stored } = await decide(parts, partition, group, placeOf);
  // Before it is known to be in the store: an INSERT without an answer may have come in.
  for (const { key, record } of stored) owned.suspect(key, record.timeMs);
  try {
    await records.insert(
      { logId: log_id, partition },
      rows.map((row) => JSON.stringify(row)),
    );
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'store_refused') throw error;
    if (group.length > 1) {
      const middle = Math.ceil(group.length / 2);
      await putGroup(parts, owned, partition, group.slice(0, middle));
      await putGroup(parts, owned, partition, group.slice(middle));
      return;
    }
    const kept = unprocessable(first.bytes, first.timeMs);
    await records.insert({ logId: log_id, partition }, [
      JSON.stringify(rejectedRow(kept, placeOf(first))),
    ]);
    logger.warn(
      { ...placeOf(first), err: error },
      'the store refused a record; kept as unprocessable',
    );
  }
}

/**
 * As a batch is decided, but that a copy after the record counts as well: it may have been stored
 * because this one was gone.
 */
async function decide(
  parts: HealParts,
  partition: number,
  group: readonly LogRecord[],
  placeOf: (record: LogRecord) => Place,
): Promise<{ rows: Value[][]; stored: Decoded[] }> {
  const { records, logId, windowMs } = parts;
  const decoded = group.map(decode);
  const share = { records, logId, partition, window: { windowMs } };
  const copies = await askCopies(share, decoded);
  const erasedTimes = await erasedAround(parts, group);
  const stored: Decoded[] = [];
  const isNear = (a: number, b: number): boolean => Math.abs(a - b) < windowMs;
  const rows = decoded.map((one): Value[] => {
    const { record, wire, key } = one;
    const { timeMs } = record;
    const place = placeOf(record);
    return rowOf(record, place, () => {
      if ('rejected' in wire) return rejectedRow(wire.rejected, place);
      const isRepeated =
        copies.get(key)?.some((copy) => isNear(copy.timeMs, timeMs)) ||
        stored.some((other) => other.key === key && isNear(other.record.timeMs, timeMs)) ||
        erasedTimes(key).some((erasedMs) => isNear(erasedMs, timeMs));
      if (isRepeated) return duplicateRow(wire.event, place);
      const row = storedRow(wire, place);
      stored.push(one);
      return row;
    });
  });
  return { rows, stored };
}

async function erasedAround(
  { records, windowMs }: HealParts,
  group: readonly LogRecord[],
): Promise<ErasedTimes> {
  const oldestMs = group.reduce((ms, { timeMs }) => Math.min(ms, timeMs), Number.POSITIVE_INFINITY);
  const sinceMs = oldestMs - windowMs;
  return createErasedIds({ records, sinceMs: async () => sinceMs }).since(sinceMs);
}

/*
 * Of a place with several rows one is kept. First one more copy is inserted, under a number of a
 * batch that none of the others has, and only when all copies are there the others are deleted: by
 * that number, so that no deletion of an earlier try, which may still be running, finds the copies.
 * The lowest number stays: another process that heals the same place at the same time deletes this
 * one's copy or has its own deleted, and never both. All in one deletion, because each one writes
 * whole parts of the table again.
 */

const AT = 'log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}';

/** A negative number, lower than any that the partition has. */
async function unusedBatch({ store, logId }: HealParts, partition: number): Promise<number> {
  const [lowest] = await store.select<{ batch_id: number }>(
    `SELECT least(0, min(records.batch_id)) - 1 AS batch_id FROM records WHERE ${AT}`,
    { log_id: logId, log_partition: partition },
  );
  check(lowest !== undefined, 'a minimum has one row');
  return lowest.batch_id;
}

async function copy(
  { store, records, logId }: HealParts,
  { owner }: Owned,
  partition: number,
  offsets: readonly number[],
  batch_id: number,
): Promise<void> {
  const at = { logId, partition };
  await records.settle(at);
  await store.command(
    `INSERT INTO records
     SELECT * REPLACE({batch_id:Int32} AS batch_id, {owner:UInt64} AS owner)
     FROM records WHERE ${AT} AND log_offset IN {offsets:Array(UInt64)}
     ORDER BY log_offset, outcome LIMIT 1 BY log_offset`,
    { log_id: logId, log_partition: partition, offsets: [...offsets], batch_id, owner },
    insertsOf(at),
  );
}

async function keepCopies(
  parts: HealParts,
  partition: number,
  batch_id: number,
  places: number,
): Promise<void> {
  const bound = { log_id: parts.logId, log_partition: partition, batch_id };
  const [copied] = await parts.store.select<{ places: number }>(
    `SELECT uniqExact(log_offset) AS places FROM records
     WHERE ${AT} AND batch_id <= {batch_id:Int32}`,
    bound,
  );
  const found = copied?.places ?? 0;
  check(found >= places, 'every place has a copy before the others are deleted');
  const where = `${AT} AND batch_id > {batch_id:Int32} AND log_offset IN (
    SELECT log_offset FROM records WHERE ${AT} AND batch_id = {batch_id:Int32})`;
  await deleteRows(parts, where, bound);
}

function monthOf({ timeMs }: LogRecord): string {
  return new Date(timeMs).toISOString().slice(0, 7);
}
