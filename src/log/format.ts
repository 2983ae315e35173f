/**
 * The bytes of a segment file. Numbers are little endian.
 *
 *   segment   header (64) · groups · zeros up to the reserved size
 *   group     header (24) · records; what one write and one fdatasync made durable together
 *   record    CRC-32C (4) · length (4) · time in ms as a double (8) · bytes
 *
 * Checksums of groups and records start from a seed of the log's id and the partition, so bytes of
 * another log, left on the disk or put into a record by a stranger, are never taken for records of
 * this one. The first byte of a group's magic is no part of any UTF-8 text. A record's key is not
 * stored: it has done its work when the partition is chosen.
 */
import { crc32c } from '@node-rs/crc32';
import { AppError } from '../base/errors.ts';

const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 64;
export const GROUP_HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 16;

/** A group is flushed when it has this many bytes, or before; a larger record is one by itself. */
export const GROUP_BYTES_MAX = 2048 * 1024;

const SEGMENT_MAGIC = Buffer.from('clicklg', 'latin1');
export const GROUP_MAGIC = Buffer.from([0xff, 0xc1, 0x47, 0x52]);
const GROUP_MAGIC_NUMBER = GROUP_MAGIC.readUInt32LE(0);

/** What the checksums of a partition start from. */
export function seedOf(logId: string, partition: number): number {
  return crc32c(`${logId}/${partition}`);
}

export interface SegmentHeader {
  logId: string;
  partition: number;
  sequence: number;
  /** Offset of the first record. */
  base: number;
  /** By the clock of the writer; the segment before was complete at this time. */
  createdMs: number;
}

export function writeSegmentHeader(buffer: Buffer, header: SegmentHeader): void {
  SEGMENT_MAGIC.copy(buffer, 0);
  buffer.writeUInt8(SEGMENT_VERSION, 7);
  buffer.writeUInt32LE(header.partition, 8);
  buffer.writeDoubleLE(header.sequence, 12);
  buffer.writeDoubleLE(header.base, 20);
  buffer.writeDoubleLE(header.createdMs, 28);
  buffer.write(header.logId.replaceAll('-', ''), 36, 'hex');
  buffer.fill(0, 52, 60);
  buffer.writeUInt32LE(crc32c(buffer.subarray(0, 60)), 60);
}

/**
 * Undefined when there is no header, or a damaged one.
 * @throws AppError `data_newer`.
 */
export function readSegmentHeader(buffer: Buffer, path: string): SegmentHeader | undefined {
  if (buffer.length < SEGMENT_HEADER_BYTES) return undefined;
  if (buffer.readUInt32LE(60) !== crc32c(buffer.subarray(0, 60))) return undefined;
  if (!SEGMENT_MAGIC.equals(buffer.subarray(0, 7))) return undefined;
  const version = buffer.readUInt8(7);
  if (version > SEGMENT_VERSION) {
    throw new AppError('data_newer', `${path} has format ${version}; known is ${SEGMENT_VERSION}.`);
  }
  const id = buffer.toString('hex', 36, 52);
  return {
    logId: id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    partition: buffer.readUInt32LE(8),
    sequence: buffer.readDoubleLE(12),
    base: buffer.readDoubleLE(20),
    createdMs: buffer.readDoubleLE(28),
  };
}

export interface GroupHeader {
  firstOffset: number;
  records: number;
  /** Length of what follows the header. */
  bytes: number;
}

export function writeGroupHeader(buffer: Buffer, seed: number, header: GroupHeader): void {
  buffer.writeUInt32LE(GROUP_MAGIC_NUMBER, 0);
  buffer.writeDoubleLE(header.firstOffset, 8);
  buffer.writeUInt32LE(header.records, 16);
  buffer.writeUInt32LE(header.bytes, 20);
  buffer.writeUInt32LE(crc32c(buffer.subarray(8, GROUP_HEADER_BYTES), seed), 4);
}

/** Undefined when there is no group here, or its header is damaged. */
export function readGroupHeader(buffer: Buffer, seed: number): GroupHeader | undefined {
  if (buffer.length < GROUP_HEADER_BYTES) return undefined;
  if (buffer.readUInt32LE(0) !== GROUP_MAGIC_NUMBER) return undefined;
  const crc = crc32c(buffer.subarray(8, GROUP_HEADER_BYTES), seed);
  if (buffer.readUInt32LE(4) !== crc) return undefined;
  return {
    firstOffset: buffer.readDoubleLE(8),
    records: buffer.readUInt32LE(16),
    bytes: buffer.readUInt32LE(20),
  };
}

/** Writes a record at `at`; answers where it ends. */
export function writeRecord(
  buffer: Buffer,
  at: number,
  record: { timeMs: number; bytes: Uint8Array },
  seed: number,
): number {
  const end = at + RECORD_HEADER_BYTES + record.bytes.length;
  buffer.writeUInt32LE(record.bytes.length, at + 4);
  buffer.writeDoubleLE(record.timeMs, at + 8);
  buffer.set(record.bytes, at + RECORD_HEADER_BYTES);
  buffer.writeUInt32LE(crc32c(buffer.subarray(at + 4, end), seed), at);
  return end;
}

/** Where the record at `at` of a group's body ends; undefined when it does not fit in the body. */
export function recordEnd(body: Buffer, at: number): number | undefined {
  if (at + RECORD_HEADER_BYTES > body.length) return undefined;
  const end = at + RECORD_HEADER_BYTES + body.readUInt32LE(at + 4);
  return end > body.length ? undefined : end;
}

export function recordTimeMs(body: Buffer, at: number): number {
  return body.readDoubleLE(at + 8);
}

export function recordIsIntact(body: Buffer, at: number, end: number, seed: number): boolean {
  return body.readUInt32LE(at) === crc32c(body.subarray(at + 4, end), seed);
}

/** Whether the body holds exactly as many intact records as its header says. */
export function groupIsIntact(header: GroupHeader, body: Buffer, seed: number): boolean {
  let at = 0;
  for (let i = 0; i < header.records; i += 1) {
    const end = recordEnd(body, at);
    if (end === undefined || !recordIsIntact(body, at, end, seed)) return false;
    at = end;
  }
  return at === body.length;
}
