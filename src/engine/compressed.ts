/**
 * The compressed blocks of ClickHouse's protocol, which a client asks for with `compress=1`: each
 * a checksum, a head and the data as LZ4. Nothing is made smaller, because client and engine are on
 * one machine: the data stand in the block as they are, which every reader of LZ4 takes.
 */
import { setImmediate } from 'node:timers/promises';
import { cityHash128 } from './city-hash.ts';

/** Others are served between two blocks, because the checksum of one takes its time. */
const BLOCK_BYTES_MAX = 64 * 1024;
const LZ4 = 0x82;
const HEAD_BYTES = 9;

export async function toBlocks(bytes: Uint8Array): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES_MAX) {
    const data = bytes.subarray(at, at + BLOCK_BYTES_MAX);
    const packed = literals(data);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt8(LZ4, 0);
    head.writeUInt32LE(HEAD_BYTES + packed.length, 1);
    head.writeUInt32LE(data.length, 5);
    const block = Buffer.concat([head, packed]);
    parts.push(cityHash128(block), block);
    await setImmediate();
  }
  return Buffer.concat(parts);
}

/** One sequence of LZ4 that holds literals only: 15 in the token, the rest of the length behind it. */
function literals(data: Uint8Array): Buffer {
  const { length } = data;
  if (length < 15) return Buffer.concat([Buffer.of(length << 4), data]);
  const rest = length - 15;
  const size = Buffer.alloc(Math.floor(rest / 255) + 1, 255);
  size.writeUInt8(rest % 255, size.length - 1);
  return Buffer.concat([Buffer.of(0xf0), size, data]);
}
