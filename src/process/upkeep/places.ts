/**
 * What the audit asks of the store: which places of a log have a row, which have more than one, and
 * which were taken out on purpose. All questions are about a range of offsets and have bounded
 * answers.
 */
import type { Store } from '../../store/store.ts';

/** A partition of a log, by the number that the store has given to the log. */
export interface At {
  logId: number;
  partition: number;
}

/** Counts of the places from `piece * pieceSize` on. */
interface PieceCount {
  piece: number;
  rows: number;
  places: number;
}

interface PlaceRows {
  log_offset: number;
  project_id: string;
  rows: number;
}

export interface OutcomeCount {
  project_id: string;
  outcome: 'stored' | 'duplicate' | 'rejected';
  rows: number;
}

interface Range {
  from: number;
  to: number;
}

/** A batch with places from `from` to before `to`. */
export interface NamedBatch extends Range {
  log_id: number;
  log_partition: number;
  batch_id: number;
}

export interface Places {
  /** Every partition of every log that the store knows, with one past its highest place. */
  partitions(): Promise<{ log_id: number; log_partition: number; end: number }[]>;
  /** Counts by pieces of `pieceSize`; a piece without rows is left out. */
  counts(at: At, range: Range, pieceSize: number): Promise<PieceCount[]>;
  /** Places erased, by pieces, as `counts`. */
  erasedCounts(at: At, range: Range, pieceSize: number): Promise<PieceCount[]>;
  /** The places that have rows. */
  rows(at: At, range: Range): Promise<PlaceRows[]>;
  /** The places that were recorded as erased. */
  erased(at: At, range: Range): Promise<Omit<PlaceRows, 'rows'>[]>;
  outcomes(at: At, range: Range): Promise<OutcomeCount[]>;
  /** Places that a time limit took, by project, without those that are still there. */
  expired(at: At): Promise<{ project_id: string; places: number }[]>;
  /** The latest time limit that was recorded; 0 when there is none. */
  limitMs(): Promise<number>;
  /** Batches whose places lie among those of another one; the first `max` of `found`. */
  interleaved(max: number): Promise<(NamedBatch & { found: number })[]>;
  /** Ids that are stored at more than one place within `windowMs`; the first `max` of `found`. */
  repeated(
    range: { fromMs: number; toMs: number },
    windowMs: number,
    max: number,
  ): Promise<{ project_id: string; event_id: string; copies: number; found: number }[]>;
}

/** Ids that the store compares at once. */
const SLICE_IDS = 2_000_000;

const AT = `log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
  AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}`;

export function createPlaces(store: Store): Places {
  const bind = (at: At, { from, to }: Range) => ({
    log_id: at.logId,
    log_partition: at.partition,
    from,
    to,
  });
  return {
    partitions: () =>
      store.select(
        `SELECT log_id, log_partition, max(past) AS end FROM (
           SELECT log_id, log_partition, max(log_offset) + 1 AS past FROM records GROUP BY ALL
           UNION ALL
           SELECT log_id, log_partition, max(log_offset) + 1 FROM removals GROUP BY ALL)
         GROUP BY ALL ORDER BY log_id, log_partition`,
      ),

    counts: (at, range, piece_size) =>
      store.select(
        `SELECT intDiv(log_offset, {piece_size:UInt64}) AS piece, count() AS rows,
           uniqExact(log_offset) AS places
         FROM records WHERE ${AT} GROUP BY piece`,
        { ...bind(at, range), piece_size },
      ),

    erasedCounts: (at, range, piece_size) =>
      store.select(
        `SELECT intDiv(log_offset, {piece_size:UInt64}) AS piece, count() AS rows,
           uniqExact(log_offset) AS places
         FROM removals WHERE kind = 'erased' AND ${AT} GROUP BY piece`,
        { ...bind(at, range), piece_size },
      ),

    rows: (at, range) =>
      store.select(
        `SELECT log_offset, any(records.project_id) AS project_id, count() AS rows
         FROM records WHERE ${AT} GROUP BY log_offset`,
        bind(at, range),
      ),

    erased: (at, range) =>
      store.select(
        `SELECT log_offset, any(removals.project_id) AS project_id
         FROM removals WHERE kind = 'erased' AND ${AT} GROUP BY log_offset`,
        bind(at, range),
      ),

    outcomes: (at, range) =>
      store.select(
        `SELECT project_id, outcome, count() AS rows FROM records WHERE ${AT} GROUP BY ALL`,
        bind(at, range),
      ),

    expired: ({ logId: log_id, partition: log_partition }) =>
      store.select(
        `WITH taken AS (
           SELECT project_id, toDateTime(received_at) AS minute, max(log_offset) AS last,
             toInt64(sum(rows)) AS places
           FROM removals
           WHERE kind = 'expired' AND log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
           GROUP BY project_id, minute),
         there AS (
           SELECT taken.project_id AS project_id, uniqExact(log_offset) AS places
           FROM records INNER JOIN taken ON taken.project_id = records.project_id
             AND taken.minute = toStartOfMinute(records.received_at)
           WHERE received_at < (SELECT max(expired_before) FROM removals WHERE kind = 'expired')
             AND log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
             AND log_offset <= last
           GROUP BY project_id)
         SELECT project_id, sum(places) AS places FROM (
           SELECT project_id, places FROM taken
           UNION ALL SELECT project_id, -toInt64(places) FROM there)
         GROUP BY project_id`,
        { log_id, log_partition },
      ),

    async limitMs() {
      const [limit] = await store.select<{ ms: number }>(
        `SELECT toUnixTimestamp64Milli(max(expired_before)) AS ms
         FROM removals WHERE kind = 'expired'`,
      );
      return limit?.ms ?? 0;
    },

    // What was healed has no number of a batch of its own: 0 and below.
    interleaved: (max) =>
      store.select(
        `SELECT log_id, log_partition, batch_id, first AS from, last + 1 AS to,
           count() OVER () AS found
         FROM (
           SELECT *, max(last) OVER before AS reached, count() OVER before AS batches
           FROM (
             SELECT log_id, log_partition, batch_id, min(log_offset) AS first,
               max(log_offset) AS last
             FROM records WHERE batch_id > 0 GROUP BY ALL)
           WINDOW before AS (PARTITION BY log_id, log_partition ORDER BY first
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
         WHERE batches > 0 AND reached >= first
         ORDER BY log_id, log_partition, first LIMIT {max:UInt32}`,
        { max },
      ),

    async repeated({ fromMs, toMs }, window_ms, max) {
      const range = `outcome = 'stored'
        AND received_at > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
        AND received_at <= fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')`;
      const bound = { since_ms: fromMs - window_ms, from_ms: fromMs, to_ms: toMs, window_ms, max };
      const [counted] = await store.select<{ rows: number }>(
        `SELECT count() AS rows FROM records WHERE ${range}`,
        bound,
      );
      const slices = Math.max(1, Math.ceil((counted?.rows ?? 0) / SLICE_IDS));
      const all: { project_id: string; event_id: string; copies: number; found: number }[] = [];
      for (let slice = 0; slice < slices; slice++) {
        // A place that is doubled is one copy: it is named by itself.
        const rows = await store.select<(typeof all)[number]>(
          `SELECT project_id, event_id, count() AS copies, count() OVER () AS found FROM (
             SELECT DISTINCT project_id, event_id, log_id, log_partition, log_offset, received_at
             FROM records
             WHERE ${range} AND (project_id, event_id) IN (
               SELECT project_id, event_id FROM records
               WHERE ${range} AND cityHash64(project_id, event_id) % {slices:UInt32} = {slice:UInt32}
               GROUP BY project_id, event_id
               HAVING count() > 1
                 AND max(received_at) >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')))
           GROUP BY project_id, event_id
           HAVING arrayExists(ms -> ms < {window_ms:Int64}, arrayPopFront(arrayDifference(
             arraySort(groupArray(toUnixTimestamp64Milli(received_at))))))
           ORDER BY project_id, event_id LIMIT {max:UInt32}`,
          { ...bound, slices, slice },
        );
        const found = (all[0]?.found ?? 0) + (rows[0]?.found ?? 0);
        all.push(...rows);
        for (const row of all) row.found = found;
      }
      return all.slice(0, max);
    },
  };
}
