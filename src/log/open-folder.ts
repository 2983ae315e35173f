/**
 * Opens the log's folder: the lock, log.json, and each partition after recovery.
 */
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type CommitFile, openCommitFile } from './commit-file.ts';
import type { Disk, DiskFile, Lock } from './disk.ts';
import { readSegmentHeader, SEGMENT_HEADER_BYTES, seedOf } from './format.ts';
import { Partition, type PartitionOptions } from './partition.ts';
import { damaged, findTail, inspectRest, type Tail, zeroTornBytes } from './recovery.ts';
import { isNoRoom } from './reserve.ts';
import { Segment, segmentPath } from './segment.ts';

const VERSION = 1;
const IDENTITY_FILE = 'log.json';

export interface FileLogOptions {
  folder: string;
  /** Fixed for the life of the folder. */
  partitions: number;
  segmentBytes: number;
  /** How long committed records are kept; never shorter than `keepAlwaysMs`. */
  keepMs: number;
  /** How many bytes of committed records are kept, at most, once they are old enough. */
  keepBytes: number;
  keepAlwaysMs: number;
  /** Bounds what waits for its flush. */
  bytesInFlightMax: number;
  disk: Disk;
  clock: Clock;
  logger: Logger;
  /** Called once when a write or flush fails: the process must end, and look again at its start. */
  onFatal: (error: Error) => void;
}

/** @throws AppError `log_locked`. */
export async function lockFolder({ disk, folder }: FileLogOptions): Promise<Lock> {
  const lock = await disk.lock(join(folder, 'lock'));
  if ('release' in lock) return lock;
  throw new AppError(
    'log_locked',
    `The log folder ${folder} is open in another process (pid ${lock.heldBy || 'unknown'}): ` +
      'stop that process, or name another data folder.',
  );
}

/** @throws AppError, see openFileLog. */
export async function openPartitions(
  options: FileLogOptions,
  events: Pick<PartitionOptions, 'onRoom' | 'onFailure'>,
): Promise<{ id: string; partitions: Partition[] }> {
  const { disk, folder, segmentBytes } = options;
  const partitions: Partition[] = [];
  try {
    const names = await disk.list(folder);
    const id = await readIdentity(options, names);
    // The folder may be as new as its file, and so may the one that it is in; and a start before
    // this one may have ended before any of them was durable.
    await disk.syncFolder(folder);
    await disk.syncFolder(dirname(folder));
    await disk.syncFolder(dirname(dirname(folder)));
    const perPartition = Math.ceil(segmentBytes / options.partitions);
    for (let number = 0; number < options.partitions; number += 1) {
      const partition = await openPartition(names, {
        ...options,
        ...events,
        logId: id,
        number,
        seed: seedOf(id, number),
        aheadBytes: perPartition,
        keepBytes: options.keepBytes / options.partitions,
      });
      partitions.push(partition);
    }
    return { id, partitions };
  } catch (error) {
    for (const partition of partitions) await partition.close();
    if (!isNoRoom(error)) throw error;
    throw new AppError('log_full', `There is no room on disk to open ${folder}.`, { cause: error });
  }
}

interface Identity {
  version: number;
  id: string;
  partitions: number;
  created_at: string;
}

async function readIdentity(options: FileLogOptions, names: string[]): Promise<string> {
  const { disk, folder, partitions } = options;
  const path = join(folder, IDENTITY_FILE);
  if (!names.includes(IDENTITY_FILE)) {
    if (names.some((name) => name.endsWith('.segment') || name.endsWith('.commit'))) {
      throw new AppError('log_corrupt', `${path} is missing, but the log's other files are there.`);
    }
    return createIdentity(options);
  }
  const identity = parseIdentity((await readWhole(disk, path)).toString(), path);
  if (identity.version > VERSION) {
    throw new AppError('data_newer', `${path} has version ${identity.version}, not ${VERSION}.`);
  }
  if (identity.partitions !== partitions) {
    throw new AppError(
      'bad_setting',
      `The log in ${folder} has ${identity.partitions} partitions, not ${partitions}: set ` +
        `?partitions=${identity.partitions}, or name another folder, which begins a new log.`,
      { field: 'CLICKSTREAM_LOG' },
    );
  }
  return identity.id;
}

function parseIdentity(text: string, path: string): Identity {
  try {
    const identity = JSON.parse(text) as Partial<Identity>;
    const { version, id, partitions } = identity;
    if (typeof version === 'number' && typeof id === 'string' && typeof partitions === 'number') {
      return { version, id, partitions, created_at: identity.created_at ?? '' };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new AppError('log_corrupt', `${path} is damaged at byte 0: it cannot be read.`);
}

async function createIdentity({
  disk,
  folder,
  partitions,
  clock,
}: FileLogOptions): Promise<string> {
  const created_at = new Date(clock.now()).toISOString();
  const identity: Identity = { version: VERSION, id: randomUUID(), partitions, created_at };
  const path = join(folder, IDENTITY_FILE);
  await withFile(disk, `${path}.tmp`, 'create', async (file) => {
    await file.write(Buffer.from(`${JSON.stringify(identity)}\n`), 0);
    await file.fdatasync();
  });
  await disk.rename(`${path}.tmp`, path);
  return identity.id;
}

/** Recovers one partition: see recovery.ts for what is cut off and what is damage. */
async function openPartition(names: string[], options: PartitionOptions): Promise<Partition> {
  const { disk, folder, number, seed } = options;
  const files = findSegments(names, options);
  const commitPath = join(folder, `${number}.commit`);
  const hasSegments = files.length > 0;
  const isNew = !names.includes(`${number}.commit`);
  if (hasSegments && isNew) {
    throw new AppError('log_corrupt', `${commitPath} is missing, but its segments are there.`);
  }
  const commits = await openCommitFile(disk, commitPath, { seed, isNew, hasSegments });
  const segments: Segment[] = [];
  const unused: Segment[] = [];
  try {
    await disk.syncFolder(folder);
    for (const segment of files) {
      if (!(await readBegin(segment, options))) unused.push(segment);
      else if (unused[0] === undefined) segments.push(segment);
      else throw damagedHeader(unused[0]);
    }
    // First look at everything, then change something: a refused folder is left as it was.
    const last = segments.at(-1);
    const tail = await last?.use((file) => findTail(last, file, seed));
    const end = tail?.end ?? 0;
    for (const segment of unused) {
      const { offsetMax } = await segment.use((file) => inspectRest(file, 0, seed));
      if (offsetMax > end) throw damaged(segment.path, 0, end);
    }
    checkRange(segments, tail, commits, options);
    if (last !== undefined && tail !== undefined) await repair(last, tail, options);
    // Deleted, so that the next ones are sure to be all zeros.
    for (const segment of unused.reverse()) {
      await disk.remove(segment.path);
      await disk.syncFolder(folder);
    }
    const partition = new Partition(options, { segments, commits, end });
    await partition.findOldestWaiting();
    return partition;
  } catch (error) {
    await segments.at(-1)?.release();
    await commits.close();
    throw error;
  }
}

/** The partition's segment files in order. */
function findSegments(names: string[], { disk, folder, number }: PartitionOptions): Segment[] {
  const sequences = names
    .map((name) => /^(\d+)-(\d{10})\.segment$/.exec(name))
    .filter((match) => Number(match?.[1]) === number)
    .map((match) => Number(match?.[2]))
    .sort((a, b) => a - b);
  return sequences.map((sequence, i) => {
    const path = segmentPath(folder, number, sequence);
    const before = sequences[i - 1];
    if (before !== undefined && sequence !== before + 1) {
      throw new AppError('log_corrupt', `A segment is missing between ${before} and ${path}.`);
    }
    return new Segment(disk, path, sequence);
  });
}

/** False when the segment was only reserved. */
async function readBegin(segment: Segment, options: PartitionOptions): Promise<boolean> {
  return segment.use(async (file) => {
    segment.reservedBytes = await file.size();
    segment.placedBytes = segment.reservedBytes;
    segment.durableBytes = segment.reservedBytes;
    const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES);
    await file.read(buffer, 0);
    const header = readSegmentHeader(buffer, segment.path);
    if (header === undefined) return false;
    const { logId, number } = options;
    const isOurs =
      header.logId === logId && header.partition === number && header.sequence === segment.sequence;
    if (!isOurs) {
      throw new AppError('log_corrupt', `${segment.path} belongs to another log or place.`);
    }
    segment.base = header.base;
    segment.createdMs = header.createdMs;
    return true;
  });
}

/** Segments are begun in order, so what has no header is reserved space, unless one follows it. */
function damagedHeader({ path }: Segment): AppError {
  return new AppError(
    'log_corrupt',
    `${path} is damaged at byte 0: it has no header, and a segment with records follows it. ` +
      'Nothing was changed. Restore the file, or move the log folder away to begin a new log.',
  );
}

/** What must be there by the commit file, must be there. */
function checkRange(
  segments: Segment[],
  tail: Tail | undefined,
  { state }: CommitFile,
  { folder, number }: PartitionOptions,
): void {
  const end = tail?.end ?? 0;
  if (end < state.durableEnd || end < state.offset) {
    const path = segments.at(-1)?.path ?? segmentPath(folder, number, 1);
    throw damaged(path, tail?.position ?? 0, end);
  }
  const [first] = segments;
  if (first !== undefined && first.base > state.offset) {
    throw damaged(first.path, 0, state.offset);
  }
}

/** Cuts a torn tail off, makes what is left durable, and holds the segment open for appends. */
async function repair(last: Segment, tail: Tail, { logger }: PartitionOptions): Promise<void> {
  await last.hold();
  await last.use(async (file) => {
    if (tail.dirtyEnd > tail.position) {
      logger.warn(
        { path: last.path, at: tail.position, bytes: tail.dirtyEnd - tail.position },
        'cut off records that were never confirmed: their write was interrupted',
      );
      await zeroTornBytes(file, tail);
    }
    // After a failed flush the kernel may hold these bytes as clean though they are not on disk. The
    // first group is written together with the header of the segment, and so is a torn one.
    const isFirst = (tail.lastGroup?.position ?? 0) <= SEGMENT_HEADER_BYTES;
    const from = isFirst ? 0 : (tail.lastGroup?.position ?? 0);
    const bytes = Buffer.alloc(tail.position - from);
    await file.read(bytes, from);
    await file.write(bytes, from);
    await file.fdatasync();
  });
  last.placedBytes = tail.position;
  last.durableBytes = tail.position;
}

async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  return withFile(disk, path, 'read', async (file) => {
    const buffer = Buffer.alloc(await file.size());
    await file.read(buffer, 0);
    return buffer;
  });
}

async function withFile<T>(
  disk: Disk,
  path: string,
  how: 'read' | 'create',
  work: (file: DiskFile) => Promise<T>,
): Promise<T> {
  const file = await disk.open(path, how);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
