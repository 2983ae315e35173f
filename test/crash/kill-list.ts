/**
 * What is killed, where and when: everything follows from the seed. A data folder lives for some
 * tens of kills; each folder has its own list, so that one of them can be repeated by itself.
 */
import { createRandom, type Random } from '../../src/demo/random.ts';
import { INSTANTS, type Instant } from './instants.ts';

export type Planned =
  | { what: 'both' | 'main' | 'engine'; when: 'under load' | 'while it starts'; afterMs: number }
  | { what: 'instant'; instant: Instant; nth: number; afterMs: number };

export interface Folder {
  /** From 1; with the seed it says everything. */
  number: number;
  seed: number;
  partitions: 1 | 2;
  kills: Planned[];
}

/** Shares of the kills that are not at a named instant. */
const BY_TIME = [
  ['main', 'under load', 600, 3],
  ['main', 'while it starts', 1_600, 3],
  ['engine', 'under load', 400, 4],
  ['engine', 'while it starts', 500, 2],
  ['both', 'under load', 600, 3],
  ['both', 'while it starts', 1_600, 2],
] as const;
const UNDER_LOAD: Planned = { what: 'main', when: 'under load', afterMs: 300 };
/** Of all kills. */
const AT_INSTANTS = 0.6;

export function makeKillList(seed: number, kills: number, perFolder: number): Folder[] {
  const random = createRandom(seed);
  const count = Math.max(1, Math.round(kills / perFolder));
  const folders = Array.from({ length: count }, (_, i): Folder => {
    const partitions = random.happens(0.5) ? 2 : 1;
    return { number: i + 1, seed: random.whole(1, 2 ** 31), partitions, kills: [] };
  });
  // Every instant as often as every other: shuffled rounds, dealt out to the folders in turn.
  let dealt = 0;
  const total = (): number => folders.reduce((sum, folder) => sum + folder.kills.length, 0);
  for (let round: Instant[] = []; total() < kills * AT_INSTANTS; dealt++) {
    if (round.length === 0) round = shuffle(random, INSTANTS);
    const instant = round.pop();
    if (instant === undefined) break;
    // What comes once in the life of a folder is dealt to each folder once, as long as it can be.
    const inTurn = folders.map((_, i) => folders[(dealt + i) % count]);
    const has = (folder: Folder | undefined): boolean =>
      instant.phase === 'first start' &&
      (folder?.kills.some((kill) => kill.what === 'instant' && kill.instant === instant) ?? false);
    const folder = inTurn.find((folder) => !has(folder)) ?? inTurn[0];
    if (folder === undefined) break;
    const before = INSTANTS.find(
      ({ name, phase, target }) => name === instant.after && phase === 'load' && target === 'main',
    );
    if (before !== undefined) folder.kills.push(planned(random, before));
    folder.kills.push(planned(random, instant));
  }
  for (let i = 0; total() < kills; i++) folders[i % count]?.kills.push(byTime(random));
  for (const folder of folders) folder.kills = inOrder(random, folder.kills);
  return folders;
}

function planned(random: Random, instant: Instant): Planned {
  const nth = random.whole(1, instant.nthMax);
  return { what: 'instant', instant, nth, afterMs: random.whole(0, 6) };
}

function byTime(random: Random): Planned {
  const [what, when, msMax] = random.weighted(BY_TIME);
  return { what, when, afterMs: random.whole(0, msMax) };
}

/** First what only comes in an empty folder, in the order in which it comes; then all others mixed. */
function inOrder(random: Random, kills: readonly Planned[]): Planned[] {
  const place = (kill: Planned): number =>
    kill.what === 'instant' && kill.instant.phase === 'first start'
      ? INSTANTS.indexOf(kill.instant)
      : -1;
  const first = kills.filter((kill) => place(kill) !== -1);
  // A kill and the one that it prepares stay together.
  const groups: Planned[][] = [];
  for (const kill of kills.filter((kill) => place(kill) === -1)) {
    const isPrepared = kill.what === 'instant' && kill.instant.after !== undefined;
    const last = groups.at(-1);
    if (isPrepared && last !== undefined) last.push(kill);
    else groups.push([kill]);
  }
  first.sort((a, b) => place(a) - place(b));
  // Between them one under load, so that the starts that follow find something to mend.
  return [...first, UNDER_LOAD, ...shuffle(random, groups).flat()];
}

function shuffle<T>(random: Random, values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, place: random.bits(40) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ value }) => value);
}

/** The row of the matrix that a kill belongs to. */
export function rowOf(kill: Planned): string {
  if (kill.what === 'both') return `main and engine at once, ${kill.when}`;
  if (kill.what !== 'instant') return `${kill.what}, ${kill.when}`;
  const { target, phase, name } = kill.instant;
  const when = { 'first start': 'in the first start', start: 'in a start', load: 'under load' };
  return `${target} at: ${name.slice(name.indexOf(' ') + 1)}, ${when[phase]}`;
}

export function describe(kill: Planned): string {
  const delay = `${kill.afterMs} ms`;
  if (kill.what !== 'instant') return `${rowOf(kill)}, after ${delay}`;
  const { target, phase, name } = kill.instant;
  return `${target} in ${phase} at "${name}" no. ${kill.nth} (${delay} after its begin, if during)`;
}
