/**
 * One segment file: its open handle, how much of it is reserved and written, and a sparse index
 * from offsets to groups, so that a read from anywhere starts near.
 */
import { join } from 'node:path';
import type { Disk, DiskFile } from './disk.ts';
import { GROUP_HEADER_BYTES, type GroupHeader, readGroupHeader } from './format.ts';

const INDEX_EVERY_BYTES = 64 * 1024;
const CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;

export function segmentPath(folder: string, partition: number, sequence: number): string {
  return join(folder, `${partition}-${String(sequence).padStart(10, '0')}.segment`);
}

/** Where a group begins. */
export interface GroupPlace {
  offset: number;
  position: number;
}

export class Segment {
  readonly path: string;
  readonly sequence: number;
  /** Set when the segment is begun. */
  base = 0;
  createdMs = 0;
  /** Bytes that are allocated on disk, as zeros or records. */
  reservedBytes = 0;
  /** Where the next group goes when all that is placed has been written. */
  placedBytes = 0;
  /** All groups before are durable; 0 until the first one is. */
  durableBytes = 0;
  #isHeld = false;
  readonly #disk: Disk;
  #file: Promise<DiskFile> | undefined;
  #users = 0;
  #offsets: number[] = [];
  #positions: number[] = [];

  constructor(disk: Disk, path: string, sequence: number) {
    this.#disk = disk;
    this.path = path;
    this.sequence = sequence;
  }

  /** Keeps the file open for writing until `release`. */
  async hold(): Promise<void> {
    this.#users += 1;
    this.#isHeld = true;
    this.#file = this.#disk.open(this.path, 'write');
    await this.#file;
  }

  async release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    await this.#leave();
  }

  async #leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0 || this.#file === undefined) return;
    const file = this.#file;
    this.#file = undefined;
    await (await file).close();
  }

  /** Opens the file if nobody has it open, and closes it after its last user. */
  async use<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      this.#file ??= this.#disk.open(this.path, 'read');
      return await work(await this.#file);
    } finally {
      await this.#leave();
    }
  }

  /** Adds a group to the index if it lies far enough behind the last one. */
  note(group: GroupPlace): void {
    const last = this.#positions.at(-1);
    if (last !== undefined && group.position < last + INDEX_EVERY_BYTES) return;
    this.#offsets.push(group.offset);
    this.#positions.push(group.position);
  }

  /** The last indexed group that begins at or before `offset`. */
  nearest(offset: number): GroupPlace | undefined {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const found = this.#offsets[low - 1];
    const position = this.#positions[low - 1];
    return found === undefined || position === undefined ? undefined : { offset: found, position };
  }

  forgetIndex(): void {
    this.#offsets = [];
    this.#positions = [];
  }
}

/** A group as it stands in the file; its body is not checked yet. */
export interface Group extends GroupPlace {
  header: GroupHeader;
  body: Buffer;
}

/**
 * Reads groups one after the other, in growing chunks. The function answers undefined where no
 * whole group with an intact header lies before `bytesMax`.
 */
export function createGroupReader(
  file: DiskFile,
  seed: number,
  bytesMax: number,
): (position: number) => Promise<Group | undefined> {
  let chunk = Buffer.alloc(0);
  let chunkAt = 0;
  let chunkBytes = CHUNK_BYTES;

  async function bytesAt(position: number, length: number): Promise<Buffer | undefined> {
    if (position + length > bytesMax) return undefined;
    if (position < chunkAt || position + length > chunkAt + chunk.length) {
      const wanted = Math.min(Math.max(length, chunkBytes), bytesMax - position);
      chunkBytes = Math.min(chunkBytes * 4, CHUNK_BYTES_MAX);
      const buffer = Buffer.allocUnsafe(wanted);
      chunk = buffer.subarray(0, await file.read(buffer, position));
      chunkAt = position;
      if (chunk.length < length) return undefined;
    }
    return chunk.subarray(position - chunkAt, position - chunkAt + length);
  }

  return async (position) => {
    const head = await bytesAt(position, GROUP_HEADER_BYTES);
    const header = head === undefined ? undefined : readGroupHeader(head, seed);
    if (header === undefined) return undefined;
    const body = await bytesAt(position + GROUP_HEADER_BYTES, header.bytes);
    if (body === undefined) return undefined;
    return { offset: header.firstOffset, position, header, body };
  };
}

export function groupEnd(group: Group): number {
  return group.position + GROUP_HEADER_BYTES + group.header.bytes;
}
