/**
 * Allocates the blocks of segments ahead of the records, in the background, by writing zeros: Node
 * has no call for it. A full disk is met here, before any record is placed; it is tried again until
 * there is room. Writing into blocks that exist also makes the flush of records cheaper.
 */
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from './disk.ts';
import { Segment, segmentPath } from './segment.ts';

/** Small steps, so that the first append waits for little and a flush beside it is not held up. */
const STEP_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(STEP_BYTES);
/** How often a full disk is tried again. */
const NO_ROOM_RETRY_MS = 1_000;

export interface ReserveOptions {
  disk: Disk;
  clock: Clock;
  logger: Logger;
  folder: string;
  number: number;
  segmentBytes: number;
  /** How much is kept reserved ahead of the records. */
  aheadBytes: number;
  /** Space was reserved, or there is none. */
  onRoom: () => void;
  /** A write or flush failed. */
  onFailure: (error: unknown) => void;
}

export class Reserve {
  /** The segment that comes after the one that fills, as far as it is reserved. */
  next: Segment | undefined;
  /** No space could be reserved the last time. */
  isWithoutRoom = false;
  readonly #options: ReserveOptions;
  readonly #segments: readonly Segment[];
  readonly #stopped = new AbortController();
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #isMoreWanted = false;

  /** `segments` are those in use; the last one fills. */
  constructor(options: ReserveOptions, segments: readonly Segment[]) {
    this.#options = options;
    this.#segments = segments;
  }

  /** Begins to reserve, if less than enough is ahead. */
  start(): void {
    if (this.#isRunning || this.#target() === undefined) return;
    this.#isRunning = true;
    this.#running = this.#run().catch(this.#options.onFailure);
  }

  /** Reserves more than usual: a record waits that does not fit. */
  wantMore(): void {
    this.#isMoreWanted = true;
    this.start();
  }

  takeNext(): Segment {
    const segment = this.next;
    check(segment !== undefined, 'room was made before a segment is begun');
    this.next = undefined;
    return segment;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async close(): Promise<void> {
    this.stop();
    await this.#running;
  }

  /** What wants more space: the segment that fills, or else the next one. */
  #target(): Segment | 'new segment' | undefined {
    const { segmentBytes, aheadBytes } = this.#options;
    const filling = this.#segments.at(-1);
    const left = filling === undefined ? 0 : filling.reservedBytes - filling.placedBytes;
    const ahead = left + (this.next?.reservedBytes ?? 0);
    if (this.#stopped.signal.aborted) return undefined;
    if (ahead >= aheadBytes && !this.#isMoreWanted) return undefined;
    if (filling !== undefined && filling.reservedBytes < segmentBytes) return filling;
    if (this.next === undefined) return 'new segment';
    return this.next.reservedBytes < segmentBytes ? this.next : undefined;
  }

  async #run(): Promise<void> {
    const { clock, logger, onRoom, folder } = this.#options;
    for (;;) {
      const target = this.#target();
      if (target === undefined) break;
      try {
        await this.#step(target === 'new segment' ? await this.#create() : target);
        if (this.isWithoutRoom) logger.info({ folder }, 'the log has room again');
        this.isWithoutRoom = false;
        this.#isMoreWanted = false;
        onRoom();
      } catch (error) {
        if (!isNoRoom(error)) throw error;
        if (!this.isWithoutRoom) logger.warn({ folder }, 'there is no room on disk for the log');
        this.isWithoutRoom = true;
        onRoom();
        await clock.sleep(NO_ROOM_RETRY_MS, this.#stopped.signal);
      }
    }
    this.#isRunning = false;
  }

  async #create(): Promise<Segment> {
    const { disk, folder, number } = this.#options;
    const sequence = (this.#segments.at(-1)?.sequence ?? 0) + 1;
    const segment = new Segment(disk, segmentPath(folder, number, sequence), sequence);
    await (await disk.open(segment.path, 'create')).close();
    await disk.syncFolder(folder);
    this.next = segment;
    return segment;
  }

  async #step(segment: Segment): Promise<void> {
    // A handle of its own: an error of these writes must not hide one of the records' writes.
    const file = await this.#options.disk.open(segment.path, 'write');
    try {
      const left = this.#options.segmentBytes - segment.reservedBytes;
      const zeros = ZEROS.subarray(0, Math.min(left, STEP_BYTES));
      await file.write(zeros, segment.reservedBytes);
      await file.fdatasync();
      segment.reservedBytes += zeros.length;
    } finally {
      await file.close();
    }
  }
}

export function isNoRoom(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
