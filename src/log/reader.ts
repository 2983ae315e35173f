/**
 * Reads durable records of one partition out of its segments: from the page cache for the newest
 * ones, from disk for old ones. Remembers where the last reads ended, so that reading on is cheap.
 */
import { check } from '../base/check.ts';
import {
  RECORD_HEADER_BYTES,
  recordEnd,
  recordIsIntact,
  recordTimeMs,
  SEGMENT_HEADER_BYTES,
} from './format.ts';
import type { LogRecord, ReadLimits } from './log.ts';
import { damaged } from './recovery.ts';
import {
  createGroupReader,
  type Group,
  type GroupPlace,
  groupEnd,
  type Segment,
} from './segment.ts';

/** Readers that may read on without a look into the index. */
const PLACES_MAX = 8;
/** Bounds the memory of the index: of so many segments, a fraction of a percent of their bytes. */
const INDEXED_SEGMENTS_MAX = 64;

export interface Reader {
  /** Records from `from` on, which lies in the first segment or behind it, and before `end`. */
  read(from: number, end: number, limits: ReadLimits): Promise<LogRecord[]>;
}

export function createReader(segments: readonly Segment[], seed: number): Reader {
  const places = new Map<number, GroupPlace & { segment: Segment }>();
  const indexed = new Set<Segment>();

  function remember(offset: number, segment: Segment, place: GroupPlace): void {
    places.set(offset, { segment, ...place });
    const [oldest] = places.keys();
    if (places.size > PLACES_MAX && oldest !== undefined) places.delete(oldest);
  }

  function begin(segment: Segment, from: number): GroupPlace {
    indexed.delete(segment);
    indexed.add(segment);
    const [oldest] = indexed;
    if (indexed.size > INDEXED_SEGMENTS_MAX && oldest !== undefined) {
      oldest.forgetIndex();
      indexed.delete(oldest);
    }
    const known = places.get(from);
    if (known?.segment === segment) return known;
    return segment.nearest(from) ?? { offset: segment.base, position: SEGMENT_HEADER_BYTES };
  }

  return {
    async read(from, end, limits) {
      const found: Found = { records: [], bytes: 0, isFull: false, from, limits };
      const start = segments.findLastIndex(({ base }) => base <= from);
      const rest = segments.slice(start);
      for (const [i, segment] of rest.entries()) {
        const stop = Math.min(end, rest[i + 1]?.base ?? end);
        const next = from + found.records.length;
        if (next >= stop || found.isFull) break;
        await segment.use(async (file) => {
          let place = begin(segment, next);
          const readGroup = createGroupReader(file, seed, segment.durableBytes);
          while (place.offset < stop && !found.isFull) {
            const group = await readGroup(place.position);
            if (group === undefined || group.offset !== place.offset) {
              throw damaged(segment.path, place.position, place.offset);
            }
            segment.note(group);
            place = { offset: group.offset + group.header.records, position: groupEnd(group) };
            takeRecords(group, segment, found, seed);
            if (found.records.length >= limits.recordsMax) found.isFull = true;
            const readOn = from + found.records.length;
            if (readOn >= group.offset) {
              remember(readOn, segment, readOn < place.offset ? group : place);
            }
          }
        });
      }
      check(found.records.length > 0, 'a durable record can be read');
      return found.records;
    },
  };
}

interface Found {
  records: LogRecord[];
  bytes: number;
  isFull: boolean;
  from: number;
  limits: ReadLimits;
}

/** Moves the group's records to `found` until its limits are met. */
function takeRecords(group: Group, segment: Segment, found: Found, seed: number): void {
  const { body, header } = group;
  const { records, limits } = found;
  let at = 0;
  const damagedRecord = (offset: number) =>
    damaged(segment.path, groupEnd(group) - body.length + at, offset);
  for (let offset = group.offset; offset < group.offset + header.records; offset += 1) {
    const end = recordEnd(body, at);
    if (end === undefined) throw damagedRecord(offset);
    if (offset >= found.from) {
      const bytes = body.subarray(at + RECORD_HEADER_BYTES, end);
      const isOverBytes = records.length > 0 && found.bytes + bytes.length > limits.bytesMax;
      if (records.length >= limits.recordsMax || isOverBytes) {
        found.isFull = true;
        return;
      }
      if (!recordIsIntact(body, at, end, seed)) throw damagedRecord(offset);
      records.push({ offset, timeMs: recordTimeMs(body, at), bytes });
      found.bytes += bytes.length;
    }
    at = end;
  }
}
