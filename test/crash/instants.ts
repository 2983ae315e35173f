/**
 * The instants at which a process is killed by name, and when each of them comes: in the first
 * start on an empty folder (in the order in which they come), in a start after a kill, or under load.
 */

export interface Instant {
  name: string;
  phase: 'first start' | 'start' | 'load';
  target: 'main' | 'engine';
  /** The instant of the kill before, where this one comes only after such a kill. */
  after?: string;
  /** They come so often that any of the first so many may be meant; else the first one is. */
  nthMax: number;
}

type Moment = 'before' | 'half' | 'during' | 'after';
const EDGES: readonly Moment[] = ['before', 'after'];
const OF_A_WRITE: readonly Moment[] = ['before', 'half', 'after'];
const OF_A_STATEMENT: readonly Moment[] = ['before', 'during', 'after'];

function instants(
  what: string,
  moments: readonly Moment[],
  more: Pick<Instant, 'phase'> & Partial<Instant>,
): Instant[] {
  return moments.map((moment) => ({
    target: 'main',
    nthMax: 1,
    ...more,
    name: `${moment} ${what}`,
  }));
}

const first = { phase: 'first start' } as const;
const start = { phase: 'start' } as const;
const load = { phase: 'load', nthMax: 6 } as const;
/** After these kills a batch is open: not in the store, or in it and not committed. */
const open = { ...start, after: 'before insert' } as const;
const stored = { ...start, after: 'after insert' } as const;
const ENGINE = { target: 'engine' } as const;

export const INSTANTS: readonly Instant[] = [
  ...instants('create identity', EDGES, first),
  ...instants('write identity', OF_A_WRITE, first),
  ...instants('fdatasync identity', EDGES, first),
  ...instants('rename identity', EDGES, first),
  ...instants('create commit file', EDGES, first),
  ...instants('write commit file', OF_A_WRITE, first),
  ...instants('fdatasync commit file', EDGES, first),
  ...instants('create segment', EDGES, first),
  ...instants('write zeros', OF_A_WRITE, first),
  ...instants('fdatasync zeros', EDGES, first),
  ...instants('register log', OF_A_STATEMENT, first),

  ...instants('lock', EDGES, start),
  ...instants('sync folder', EDGES, start),
  ...instants('write mended records', OF_A_WRITE, start),
  ...instants('fdatasync mended records', EDGES, start),
  ...instants('remove segment', EDGES, start),
  ...instants('write intent', OF_A_WRITE, open),
  ...instants('write commit', OF_A_WRITE, start),
  ...instants('fdatasync commit', EDGES, start),
  ...instants('take over', OF_A_STATEMENT, start),
  ...instants('settle', EDGES, start),
  ...instants('look', OF_A_STATEMENT, stored),
  ...instants('insert', OF_A_STATEMENT, open),
  ...instants('take over', OF_A_STATEMENT, { ...start, ...ENGINE }),
  ...instants('settle', EDGES, { ...start, ...ENGINE }),
  ...instants('look', OF_A_STATEMENT, { ...stored, ...ENGINE }),
  ...instants('insert', OF_A_STATEMENT, { ...open, ...ENGINE }),

  ...instants('write records', OF_A_WRITE, load),
  ...instants('fdatasync records', EDGES, load),
  ...instants('write intent', OF_A_WRITE, load),
  ...instants('fdatasync intent', EDGES, load),
  ...instants('insert', OF_A_STATEMENT, load),
  ...instants('write commit', OF_A_WRITE, load),
  ...instants('fdatasync commit', EDGES, load),
  ...instants('create segment', EDGES, { ...load, nthMax: 1 }),
  ...instants('sync folder', EDGES, { ...load, nthMax: 1 }),
  ...instants('write zeros', OF_A_WRITE, { ...load, nthMax: 1 }),
  ...instants('fdatasync zeros', EDGES, { ...load, nthMax: 1 }),
  ...instants('insert', OF_A_STATEMENT, { ...load, ...ENGINE }),
  ...instants('write commit', ['before', 'after'], { ...load, ...ENGINE }),
  ...instants('write records', ['before', 'after'], { ...load, ...ENGINE }),
];
