/**
 * A hash of 128 bits that stands for the key of an event id in memory: Chaskey (Mouha, 2014), a
 * message authentication code made for 32-bit words, over the key's UTF-16 units. It is keyed at
 * random, because ids are chosen by senders: without the secret nobody can choose two that meet.
 * No row depends on it: where the window is not sure because of a hash, the store is asked.
 */
import { getRandomValues } from 'node:crypto';

/** The hash of a key in four words; the array is used again by the next call. */
export type KeyHash = (key: string) => Int32Array;

const ROUNDS = 8;

export function createKeyHash(secret: Int32Array = getRandomValues(new Int32Array(4))): KeyHash {
  const whole = doubled(secret);
  const padded = doubled(whole);
  const hash = new Int32Array(4);
  return (key) => {
    const blocks = Math.max(1, Math.ceil(key.length / 8));
    let [v0 = 0, v1 = 0, v2 = 0, v3 = 0] = secret;
    for (let block = 0; block < blocks; block++) {
      const at = block * 8;
      v0 ^= wordAt(key, at);
      v1 ^= wordAt(key, at + 2);
      v2 ^= wordAt(key, at + 4);
      v3 ^= wordAt(key, at + 6);
      if (block === blocks - 1) {
        const last = key.length === blocks * 8 ? whole : padded;
        v0 ^= last[0] ?? 0;
        v1 ^= last[1] ?? 0;
        v2 ^= last[2] ?? 0;
        v3 ^= last[3] ?? 0;
      }
      for (let round = 0; round < ROUNDS; round++) {
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
    }
    const last = key.length === blocks * 8 ? whole : padded;
    hash[0] = v0 ^ (last[0] ?? 0);
    hash[1] = v1 ^ (last[1] ?? 0);
    hash[2] = v2 ^ (last[2] ?? 0);
    hash[3] = v3 ^ (last[3] ?? 0);
    return hash;
  };
}

/** Two units of the key; behind its end a one and then zeros. */
function wordAt(key: string, at: number): number {
  const room = key.length - at;
  if (room >= 2) return key.charCodeAt(at) | (key.charCodeAt(at + 1) << 16);
  if (room === 1) return key.charCodeAt(at) | (1 << 16);
  return room === 0 ? 1 : 0;
}

/** Times two in the field of 2^128 elements. */
function doubled([w0 = 0, w1 = 0, w2 = 0, w3 = 0]: Int32Array): Int32Array {
  return Int32Array.of(
    (w0 << 1) ^ (w3 < 0 ? 0x87 : 0),
    (w1 << 1) | (w0 >>> 31),
    (w2 << 1) | (w1 >>> 31),
    (w3 << 1) | (w2 >>> 31),
  );
}
