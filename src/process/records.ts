/**
 * What the processor asks of the store, as functions: all SQL of this stage that works on the table
 * `records` in the path of events. The simulation of the protocol has its own implementation, and
 * records.contract.ts runs against both.
 */
import { randomInt } from 'node:crypto';
import type { Store } from '../store/store.ts';
import { COLUMNS } from './row.ts';

/** Partitions of a log, by the small number that the store has given to the log. */
export interface LogPartition {
  logId: number;
  partition: number;
}

/** A row of a place, and what became of its record. */
export interface Held {
  log_offset: number;
  outcome: 'stored' | 'duplicate' | 'rejected';
}

/** A stored event, with all that the window wants to know of it. */
export interface StoredCopy {
  project_id: string;
  event_id: string;
  log_id: number;
  log_partition: number;
  log_offset: number;
  received_ms: number;
}

/** The highest place that is stored, or was and is taken out: then it has no id. */
export interface LastPlace {
  log_offset: number;
  event_id: string;
  batch_id: number;
}

export interface Records {
  /**
   * The number of the log with this id, given now if it has none. Offsets are only compared within
   * one number, so a new folder, or another topic, cannot be taken for this one.
   */
  registerLog(log: string): Promise<number>;

  /**
   * Makes the caller the only writer of these partitions and answers its number, which every row
   * must carry (`owner`). When it resolves, inserts of an earlier owner have ended, and later ones
   * are refused by the store with `taken_over`.
   */
  takeOver(logId: number, partitions: readonly number[], owner?: number): Promise<number>;

  /** A number for a take-over of which it must be known that it was ours, whatever its answer is. */
  newOwner(): number;

  /** Takes a partition over for work on what is stored; its owner waits for `release`, but not for ever. */
  hold(at: LogPartition): Promise<number>;

  release(at: LogPartition): Promise<void>;

  /** The number that the store knows the partition's writer by; 0 before the first. */
  ownerOf(at: LogPartition): Promise<number>;

  /**
   * Inserts rows of one partition in the order of `COLUMNS`, each as JSON text, as one part: all
   * appear, or none.
   * @throws AppError `store_…` as Store.insert, or `taken_over`.
   */
  insert(at: LogPartition, rows: readonly string[]): Promise<void>;

  /**
   * Resolves when no earlier `insert` of this partition can still be running, whoever has sent it.
   * @throws AppError `store_…` when it is not known.
   */
  settle(at: LogPartition): Promise<void>;

  /** The rows of the offsets from `from` to before `to`. */
  held(at: LogPartition, from: number, to: number): Promise<Held[]>;

  /** The highest place from this offset on; undefined when there is none. */
  last(at: LogPartition, from: number): Promise<LastPlace | undefined>;

  /** The newest time of all rows; 0 when there are none. */
  newestMs(): Promise<number>;

  /** How many events are stored since a time, by slices of `sliceMs`, the newest slice first. */
  countBySlice(sinceMs: number, sliceMs: number): Promise<{ slice: number; ids: number }[]>;

  /** The stored ids of a range of time that belong to one of so many partitions. */
  storedIds(
    range: { fromMs: number; toMs: number },
    share: { partition: number; partitions: number },
  ): Promise<Pick<StoredCopy, 'project_id' | 'event_id' | 'received_ms'>[]>;

  /** The stored copies of these ids after a time, oldest first. */
  copies(project: string, ids: readonly string[], afterMs: number): Promise<StoredCopy[]>;

  /** Events that were stored after a time and erased since: the hash of each key, and its time. */
  erasedIds(afterMs: number): Promise<{ id_hash: string; received_ms: number }[]>;
}

/**
 * Owners are told apart, not ordered: 2^47 of them are enough never to meet. As many are left for
 * those who hold a partition, and 0 for nobody.
 */
export const HOLDER_MIN = 2 ** 47;
const HOLDER_MAX = 2 ** 48 - 1;
const NOBODY = 0;
const PARTITIONS_MAX = 65_536;

/** Inserts of one partition, which its next owner has to end: part of their query ids. */
export const insertsOf = ({ logId, partition }: LogPartition): string =>
  `records-${logId}-${partition}`;

export function createRecords(store: Store): Records {
  const newOwner = () => randomInt(1, HOLDER_MIN);

  async function takeOver(
    logId: number,
    partitions: readonly number[],
    owner: number,
  ): Promise<number> {
    const takeOvers = `owners-${logId}-${partitions[0]}`;
    // A try of before must not come after this one.
    await store.settle([takeOvers]);
    const rows = partitions.map((partition) => [logId * PARTITIONS_MAX + partition, owner]);
    await store.insert('owners', ['log_key', 'owner'], rows, takeOvers);
    // Only now: what begins from here on is refused, and what had passed before is ended.
    await store.settle(partitions.map((partition) => insertsOf({ logId, partition })));
    return owner;
  }

  return {
    async registerLog(log) {
      // The oldest row of a number has it. Who finds that another was faster takes the next one.
      const owned = async () => {
        const rows = await store.select<{ log_id: number; log: string }>(
          'SELECT log_id, log FROM logs ORDER BY log_id, created_at, log LIMIT 1 BY log_id',
        );
        return { next: (rows.at(-1)?.log_id ?? 0) + 1, mine: rows.find((row) => row.log === log) };
      };
      for (;;) {
        const { next, mine } = await owned();
        if (mine !== undefined) return mine.log_id;
        await store.insert('logs', ['log_id', 'log'], [[next, log]], 'logs');
      }
    },

    takeOver: (logId, partitions, owner = newOwner()) => takeOver(logId, partitions, owner),

    newOwner,

    hold: ({ logId, partition }) => takeOver(logId, [partition], randomInt(HOLDER_MIN, HOLDER_MAX)),

    async release({ logId, partition }) {
      await takeOver(logId, [partition], NOBODY);
    },

    async ownerOf({ logId, partition }) {
      const [row] = await store.select<{ owner: number }>(
        'SELECT owner FROM owners WHERE log_key = {key:UInt64}',
        { key: logId * PARTITIONS_MAX + partition },
      );
      return row?.owner ?? NOBODY;
    },

    insert: (at, rows) => store.insert('records', COLUMNS, rows, insertsOf(at)),

    settle: (at) => store.settle([insertsOf(at)]),

    held: (at, from, to) =>
      store.select<Held>(
        `SELECT log_offset, outcome FROM records
         WHERE log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
           AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}`,
        { log_id: at.logId, log_partition: at.partition, from, to },
      ),

    async last(at, from) {
      const [last] = await store.select<LastPlace>(
        `SELECT log_offset, event_id, batch_id FROM (
           (SELECT log_offset, event_id, batch_id FROM records
            WHERE log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
              AND log_offset >= {from:UInt64} ORDER BY log_offset DESC LIMIT 1)
           UNION ALL
           (SELECT log_offset, '' AS event_id, toInt32(0) AS batch_id FROM removals
            WHERE log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
              AND log_offset >= {from:UInt64} ORDER BY log_offset DESC LIMIT 1))
         ORDER BY log_offset DESC LIMIT 1`,
        { log_id: at.logId, log_partition: at.partition, from },
      );
      return last;
    },

    async newestMs() {
      const [newest] = await store.select<{ ms: number }>(
        'SELECT toUnixTimestamp64Milli(max(received_at)) AS ms FROM records',
      );
      return newest?.ms ?? 0;
    },

    countBySlice: (sinceMs, sliceMs) =>
      store.select(
        `SELECT intDiv(toUnixTimestamp64Milli(received_at), {slice_ms:Int64}) AS slice, count() AS ids
         FROM records
         WHERE outcome = 'stored' AND received_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
         GROUP BY slice ORDER BY slice DESC`,
        { slice_ms: sliceMs, since_ms: sinceMs },
      ),

    storedIds: ({ fromMs, toMs }, { partition, partitions }) =>
      store.select(
        `SELECT project_id, event_id, toUnixTimestamp64Milli(received_at) AS received_ms
         FROM records
         WHERE outcome = 'stored'
           AND received_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
           AND received_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
           AND CRC32(concat(project_id, '\\0', event_id)) % {partitions:UInt32} = {partition:UInt32}`,
        { from_ms: fromMs, to_ms: toMs, partitions, partition },
      ),

    copies: (project, ids, afterMs) =>
      store.select(
        `SELECT project_id, event_id, log_id, log_partition, log_offset,
           toUnixTimestamp64Milli(received_at) AS received_ms
         FROM records
         WHERE outcome = 'stored' AND received_at > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
           AND project_id = {project:String} AND event_id IN {ids:Array(String)}
         ORDER BY received_ms, log_id, log_partition, log_offset`,
        { after_ms: afterMs, project, ids: [...ids] },
      ),

    erasedIds: (afterMs) =>
      store.select(
        `SELECT id_hash, toUnixTimestamp64Milli(received_at) AS received_ms FROM removals
         WHERE kind = 'erased' AND id_hash != ''
           AND received_at > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')`,
        { after_ms: afterMs },
      ),
  };
}
