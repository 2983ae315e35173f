/**
 * CityHash128 in its version 1.0.2, which ClickHouse keeps for the checksums of its compressed
 * blocks; the later versions give other numbers. Texts of fewer than eight bytes do not occur there.
 */

const K0 = 0xc3a5c85c97cb3127n;
const K1 = 0xb492b66fbe98f273n;
const K2 = 0x9ae16a3b2f90404fn;
const K3 = 0xc949d7c7509e6557n;
const K_MUL = 0x9ddfea08eb382d69n;

type Pair = [low: bigint, high: bigint];

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const mul = (a: bigint, b: bigint): bigint => u64(a * b);
const shiftMix = (value: bigint): bigint => value ^ (value >> 47n);
const rotate = (value: bigint, by: bigint): bigint => (u64(value) >> by) | u64(value << (64n - by));

function hash16(u: bigint, v: bigint): bigint {
  const a = shiftMix(mul(u64(u) ^ u64(v), K_MUL));
  return mul(shiftMix(mul(u64(v) ^ a, K_MUL)), K_MUL);
}

function hash0to16(bytes: Buffer): bigint {
  const size = bytes.length;
  const n = BigInt(size);
  if (size > 8) {
    const b = bytes.readBigUInt64LE(size - 8);
    return hash16(bytes.readBigUInt64LE(0), rotate(b + n, n)) ^ b;
  }
  if (size >= 4) {
    const last = BigInt(bytes.readUInt32LE(size - 4));
    return hash16(n + (BigInt(bytes.readUInt32LE(0)) << 3n), last);
  }
  if (size === 0) return K2;
  const byte = (at: number): bigint => BigInt(bytes.readUInt8(at));
  const y = byte(0) + (byte(size >> 1) << 8n);
  const z = n + (byte(size - 1) << 2n);
  return mul(shiftMix(mul(y, K2) ^ mul(z, K3)), K2);
}

function weakHash32(bytes: Buffer, at: number, [seedA, seedB]: Pair): Pair {
  const z = bytes.readBigUInt64LE(at + 24);
  const start = u64(seedA + bytes.readBigUInt64LE(at));
  const b = rotate(seedB + start + z, 21n);
  const a = u64(start + bytes.readBigUInt64LE(at + 8) + bytes.readBigUInt64LE(at + 16));
  return [u64(a + z), u64(b + rotate(a, 44n) + start)];
}

function murmur(bytes: Buffer, [low, high]: Pair): Pair {
  const size = bytes.length;
  let [a, b, c, d] = [low, high, 0n, 0n];
  if (size <= 16) {
    a = mul(shiftMix(mul(a, K1)), K1);
    c = u64(mul(b, K1) + hash0to16(bytes));
    d = shiftMix(u64(a + (size >= 8 ? bytes.readBigUInt64LE(0) : c)));
  } else {
    c = hash16(bytes.readBigUInt64LE(size - 8) + K1, a);
    d = hash16(b + BigInt(size), c + bytes.readBigUInt64LE(size - 16));
    a = u64(a + d);
    for (let at = 0, left = size - 16; left > 0; at += 16, left -= 16) {
      a = mul(a ^ mul(shiftMix(mul(bytes.readBigUInt64LE(at), K1)), K1), K1);
      b ^= a;
      c = mul(c ^ mul(shiftMix(mul(bytes.readBigUInt64LE(at + 8), K1)), K1), K1);
      d ^= c;
    }
  }
  a = hash16(a, c);
  b = hash16(d, b);
  return [a ^ b, hash16(b, a)];
}

function long(bytes: Buffer, [low, high]: Pair): Pair {
  const at8 = (at: number): bigint => bytes.readBigUInt64LE(at);
  let [x, y, z] = [low, high, mul(BigInt(bytes.length), K1)];
  const vLow = mul(rotate(y ^ K1, 49n), K1) + at8(0);
  let v: Pair = [u64(vLow), u64(mul(rotate(vLow, 42n), K1) + at8(8))];
  let w: Pair = [u64(mul(rotate(y + z, 35n), K1) + x), mul(rotate(x + at8(88), 53n), K1)];
  let at = 0;
  for (; bytes.length - at >= 128; ) {
    for (let round = 0; round < 2; round++, at += 64) {
      x = mul(rotate(x + y + v[0] + at8(at + 16), 37n), K1) ^ w[1];
      y = mul(rotate(y + v[1] + at8(at + 48), 42n), K1) ^ v[0];
      z = rotate(z ^ w[0], 33n);
      v = weakHash32(bytes, at, [mul(v[1], K1), u64(x + w[0])]);
      w = weakHash32(bytes, at + 32, [u64(z + w[1]), y]);
      [z, x] = [x, z];
    }
  }
  y = u64(y + mul(rotate(w[0], 37n), K0) + z);
  x = u64(x + mul(rotate(v[0] + z, 49n), K0));
  // What is left is read from the end, in pieces of 32 that may reach back into what was read.
  for (let done = 0; done < bytes.length - at; ) {
    done += 32;
    const from = bytes.length - done;
    y = u64(mul(rotate(y - x, 42n), K0) + v[1]);
    w[0] = u64(w[0] + at8(from + 16));
    x = u64(mul(rotate(x, 49n), K0) + w[0]);
    w[0] = u64(w[0] + v[0]);
    v = weakHash32(bytes, from, v);
  }
  x = hash16(x, v[0]);
  y = hash16(y, w[0]);
  return [u64(hash16(x + v[1], w[1]) + y), hash16(x + w[1], y + v[1])];
}

/** Sixteen bytes, as they stand before a compressed block. */
export function cityHash128(bytes: Buffer): Buffer {
  const size = bytes.length;
  const first = bytes.readBigUInt64LE(0);
  const [rest, seed]: [Buffer, Pair] =
    size >= 16
      ? [bytes.subarray(16), [first ^ K3, bytes.readBigUInt64LE(8)]]
      : [
          bytes.subarray(size),
          [first ^ mul(BigInt(size), K0), bytes.readBigUInt64LE(size - 8) ^ K1],
        ];
  const [low, high] = rest.length < 128 ? murmur(rest, seed) : long(rest, seed);
  const hash = Buffer.alloc(16);
  hash.writeBigUInt64LE(low, 0);
  hash.writeBigUInt64LE(high, 8);
  return hash;
}
