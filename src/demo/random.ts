/**
 * Chance that can be repeated: everything follows from the seed. Ids have the form that the SDK
 * gives them (src/sdk/ids.ts).
 */

export interface Random {
  /** From `min` to `max`, both included. */
  whole(min: number, max: number): number;
  /** True with this probability, 0 to 1. */
  happens(probability: number): boolean;
  /** Exponential with this mean: many short, few long. */
  exponential(mean: number): number;
  one<T>(values: readonly T[]): T;
  /** The first are drawn most, as the best sellers of any shop. */
  popular<T>(values: readonly T[]): T;
  /** By the shares in the last entry of each row. */
  weighted<T extends readonly [...unknown[], number]>(rows: readonly T[]): T;
  /** Milliseconds and `bits` random bits (a multiple of 20), in base 36. */
  id(timeMs: number, bits: number): string;
  /** The random part alone. */
  bits(bits: number): string;
}

export function createRandom(seed: number): Random {
  const next = mulberry32(seed);
  const at = <T>(values: readonly T[], place: number): T =>
    values[Math.floor(place * values.length)] as T;
  const bits: Random['bits'] = (count) => {
    let text = '';
    for (let left = count; left > 0; left -= 20) {
      text += Math.floor(next() * 2 ** 20)
        .toString(36)
        .padStart(4, '0');
    }
    return text;
  };
  return {
    whole: (min, max) => min + Math.floor(next() * (max - min + 1)),
    happens: (probability) => next() < probability,
    exponential: (mean) => -Math.log(1 - next()) * mean,
    one: (values) => at(values, next()),
    popular: (values) => at(values, next() ** 3),
    weighted(rows) {
      let total = 0;
      for (const row of rows) total += Number(row.at(-1));
      let left = next() * total;
      const found = rows.find((row) => {
        left -= Number(row.at(-1));
        return left < 0;
      });
      return found ?? at(rows, 0);
    },
    id: (timeMs, count) => timeMs.toString(36) + bits(count),
    bits,
  };
}

/** A small seeded generator of numbers in [0, 1) (mulberry32 by Tommy Ettinger, public domain). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
