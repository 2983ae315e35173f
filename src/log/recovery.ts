/**
 * Finds the end of the last segment after whatever happened, and tells a torn tail from damage.
 *
 * Groups are written one at a time: the next write begins only after fdatasync of the one before.
 * So a crash can tear only the last group, in any way (its sectors reach the disk in any order),
 * and none of that group was acknowledged: it is dropped as a whole and its bytes become zeros.
 * A bad group is *damage*, never a torn tail, and opening stops, when it is proved that it had
 * been durable:
 *   - a group of a higher offset follows it anywhere in this segment or a later one, or
 *   - the commit file says so: it holds the durable end as of the last commit and the last close.
 * Not provable: damage to the very last group when neither a later group, nor a commit, nor a
 * close came after it. It looks the same as a torn write, and is dropped like one.
 */
import { AppError } from '../base/errors.ts';
import type { DiskFile } from './disk.ts';
import {
  GROUP_HEADER_BYTES,
  GROUP_MAGIC,
  groupIsIntact,
  readGroupHeader,
  SEGMENT_HEADER_BYTES,
} from './format.ts';
import { createGroupReader, type Group, groupEnd, type Segment } from './segment.ts';

const CHUNK_BYTES = 1024 * 1024;

export interface Tail {
  /** One past the last record. */
  end: number;
  /** Where the next group goes. */
  position: number;
  lastGroup: Group | undefined;
  /** One past the last byte that is not zero. */
  dirtyEnd: number;
}

/** Walks all groups of the last segment; fills its index on the way. */
export async function findTail(segment: Segment, file: DiskFile, seed: number): Promise<Tail> {
  const sizeBytes = segment.reservedBytes;
  const readGroup = createGroupReader(file, seed, sizeBytes);
  let end = segment.base;
  let position = SEGMENT_HEADER_BYTES;
  let lastGroup: Group | undefined;
  for (;;) {
    const group = await readGroup(position);
    if (group === undefined || group.offset !== end) break;
    if (!groupIsIntact(group.header, group.body, seed)) break;
    segment.note(group);
    end += group.header.records;
    position = groupEnd(group);
    lastGroup = group;
  }
  const rest = await inspectRest(file, position, seed);
  if (rest.offsetMax > end) throw damaged(segment.path, position, end);
  return { end, position, lastGroup, dirtyEnd: rest.dirtyEnd };
}

/** What lies behind the last good group: the highest offset of a group, and where zeros begin. */
export async function inspectRest(
  file: DiskFile,
  from: number,
  seed: number,
): Promise<{ offsetMax: number; dirtyEnd: number }> {
  const sizeBytes = await file.size();
  const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, sizeBytes - from)));
  let offsetMax = -1;
  let dirtyEnd = from;
  for (let at = from; at < sizeBytes; at += CHUNK_BYTES) {
    // A header may lie across two chunks.
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES + GROUP_HEADER_BYTES - 1, sizeBytes - at));
    await file.read(buffer, at);
    const chunk = buffer.subarray(0, CHUNK_BYTES);
    if (chunk.equals(zeros.subarray(0, chunk.length))) continue;
    dirtyEnd = at + chunk.findLastIndex((byte) => byte !== 0) + 1;
    for (let i = buffer.indexOf(GROUP_MAGIC); i !== -1; i = buffer.indexOf(GROUP_MAGIC, i + 1)) {
      const header = readGroupHeader(buffer.subarray(i, i + GROUP_HEADER_BYTES), seed);
      if (header !== undefined) offsetMax = Math.max(offsetMax, header.firstOffset);
    }
  }
  return { offsetMax, dirtyEnd };
}

/** Zeros what a torn write left, so that nothing of it is ever met again. Not durable by itself. */
export async function zeroTornBytes(file: DiskFile, tail: Tail): Promise<void> {
  for (let at = tail.position; at < tail.dirtyEnd; at += CHUNK_BYTES) {
    await file.write(Buffer.alloc(Math.min(CHUNK_BYTES, tail.dirtyEnd - at)), at);
  }
}

export function damaged(path: string, position: number, offset: number): AppError {
  return new AppError(
    'log_corrupt',
    `${path} is damaged at byte ${position}: record ${offset} was confirmed and cannot be read. ` +
      'Nothing was changed. Restore the file, or move the log folder away to begin a new log.',
  );
}
