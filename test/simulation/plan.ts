/**
 * What a run is like: sizes, faults and crashes, all from its seed. Each run has some of the faults
 * and not the others, because a run with all of them never gets far.
 */
import type { WindowLimits } from '../../src/process/window/window.ts';
import { createRandom, type Random } from './random.ts';

/** How likely each fault is, each time that it could happen. */
export interface Faults {
  slowDisk: number;
  writeError: number;
  syncError: number;
  lostSync: number;
  diskFull: number;
  bitFlip: number;
  insertCutBefore: number;
  insertCutAfter: number;
  insertSlow: number;
  insertStalls: number;
  storeUnreachable: number;
  storeRestart: number;
  clockJump: number;
}

type Crash = 'kill' | 'power failure' | 'freeze' | 'orderly stop';

export interface Plan {
  partitions: number;
  segmentBytes: number;
  bytesInFlightMax: number;
  keepMs: number;
  batchRowsMax: number;
  batchBytesMax: number;
  batchIntervalMs: number;
  window: WindowLimits;
  startMs: number;
  slowReads: boolean;
  /** Each with the number of steps since the one before. */
  crashes: { what: Crash; afterSteps: number }[];
  faults: Faults;
  senders: number;
  requestsPerSender: number;
  pauseMsMax: number;
  /** How many different ids a sender chooses from, again and again, beside new ones. */
  repeatedIds: number;
  poison: number;
  /** Ids that the store has from an earlier log. */
  earlierIds: number;
}

const NO_FAULTS: Faults = {
  slowDisk: 0,
  writeError: 0,
  syncError: 0,
  lostSync: 0,
  diskFull: 0,
  bitFlip: 0,
  insertCutBefore: 0,
  insertCutAfter: 0,
  insertSlow: 0,
  insertStalls: 0,
  storeUnreachable: 0,
  storeRestart: 0,
  clockJump: 0,
};

const RATES: Faults = {
  slowDisk: 0.02,
  writeError: 0.005,
  syncError: 0.01,
  lostSync: 0.05,
  diskFull: 0.003,
  bitFlip: 0.002,
  insertCutBefore: 0.1,
  insertCutAfter: 0.1,
  insertSlow: 0.1,
  insertStalls: 0.2,
  storeUnreachable: 0.05,
  storeRestart: 0.004,
  clockJump: 0.005,
};

/** A disk that lies or rots is no promise of ours: rare, so that most runs are judged in full. */
const RARE = new Set<string>(['lostSync', 'bitFlip'] satisfies (keyof Faults)[]);

export function createPlan(seed: number): Plan {
  const random = createRandom(seed);
  // So little memory that ids move into filters at once, and out of them before they leave the window.
  const idsMax = random.chance(0.7) ? random.between(1, 6) : 1_000;
  return {
    partitions: random.between(1, 2),
    segmentBytes: random.between(1_200, 6_000),
    bytesInFlightMax: random.pick([1_500, 100_000]),
    keepMs: random.chance(0.3) ? random.between(100, 5_000) : 86_400_000,
    batchRowsMax: random.between(1, 8),
    batchBytesMax: random.between(200, 4_000),
    batchIntervalMs: random.pick([0, 5, 100]),
    window: {
      windowMs: random.pick([50, 500, 5_000, 86_400_000]),
      idsMax,
      bytesMax: idsMax * 40 + random.pick([0, 100, 500, 100_000]),
    },
    // Some runs cross a month, where a batch has to be cut.
    startMs: Date.UTC(2026, 11, 1) - (random.chance(0.3) ? random.between(0, 5_000) : 1e9),
    slowReads: random.chance(0.2),
    crashes: crashesOf(random),
    faults: faultsOf(random),
    senders: random.between(1, 3),
    requestsPerSender: random.between(3, 8),
    pauseMsMax: random.pick([0, 20, 300]),
    repeatedIds: random.between(1, 8),
    poison: random.pick([0, 0, 0.05, 0.3]),
    earlierIds: random.chance(0.2) ? 5 : 0,
  };
}

function crashesOf(random: Random): Plan['crashes'] {
  const kinds: Crash[] = ['kill', 'kill', 'power failure', 'power failure', 'freeze'];
  if (random.chance(0.2)) kinds.push('orderly stop');
  return Array.from({ length: random.between(0, 5) }, () => ({
    what: random.pick(kinds),
    // Many in the middle of a start, some after a while of work.
    afterSteps: Math.floor(Math.exp(random.next() * Math.log(300))),
  }));
}

function faultsOf(random: Random): Faults {
  const faults = { ...NO_FAULTS };
  for (const name of Object.keys(RATES) as (keyof Faults)[]) {
    if (random.chance(RARE.has(name) ? 0.1 : 0.3)) faults[name] = RATES[name] * random.next() * 2;
  }
  return faults;
}

/** From here on nothing more goes wrong. */
export function heal(faults: Faults): void {
  Object.assign(faults, NO_FAULTS);
}
