/** Which partition a key belongs to: the same function as ClickHouse's `CRC32` and Java's. */
import { crc32 } from 'node:zlib';

export function partitionOf(key: string, partitions: number): number {
  return partitions === 1 ? 0 : crc32(key) % partitions;
}
