/**
 * Faults put into the real source, each of which the simulation must find: what it does not find
 * when it is there, it would not find when it slips in.
 */

interface Piece {
  /** Below the root of the project. */
  file: string;
  find: string;
  replace: string;
}

const LOOK = 'mustLook ? await lookFor(p, batch) : new Map';
const TOKEN_PIECES: Piece[] = [
  { file: 'src/process/batch.ts', find: LOOK, replace: 'new Map' },
  {
    file: 'src/process/batch.ts',
    find: `        p,
        rows.map((row) => row.text),
      );`,
    replace:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a piece of source
      'p, rows.map((row) => row.text), `${log_partition} ${batchId} ${rows[0].record.offset} ${rows.length}`);',
  },
  {
    // A refused row is decided about with the help of a look; this is about tokens.
    file: 'test/simulation/plan.ts',
    find: 'poison: random.pick([0, 0, 0.05, 0.3])',
    replace: 'poison: random.pick([0, 0, 0, 0])',
  },
];

export const MUTATIONS: Record<string, Piece[]> = {
  'commit before the insert': [
    {
      file: 'src/process/process.ts',
      find: `    if (!(await isInStore(p, window, batch, how))) return false;
    if (!(await isCommitted(to, note))) return false;`,
      replace: `    if (!(await isCommitted(to, note))) return false;
    if (!(await isInStore(p, window, batch, how))) return false;`,
    },
  ],
  'no intent before the insert': [
    {
      file: 'src/process/process.ts',
      find: "if (how === 'insert first' && !(await isCommitted(from, note))) return false;",
      replace: '',
    },
  ],
  'a token instead of a look': TOKEN_PIECES,
  'a token instead of a look, and tokens without their flaw': [
    ...TOKEN_PIECES,
    {
      file: 'test/simulation/store.ts',
      find: 'scheduler.after(random.next() * 5, server, () => {',
      replace: '[() => rows.push(...made)].forEach((add) => add()); void (() => {',
    },
  ],
  'a look while an insert may still run': [
    { file: 'src/process/batch.ts', find: 'await p.retake();', replace: '' },
  ],
  'no checksums of the last group at start': [
    {
      file: 'src/log/recovery.ts',
      find: 'if (!groupIsIntact(group.header, group.body, seed)) break;',
      replace: '',
    },
  ],
  'a take-over without effect': [
    {
      file: 'src/process/process.ts',
      find: 'owner: await options.records.takeOver(logId, partitions)',
      replace: 'owner: 0',
    },
  ],
  'a take-over that ends no inserts but its own': [
    {
      file: 'test/simulation/store.ts',
      find: 'groups.includes(statement.group)',
      replace: 'groups.includes(statement.group) && statement.client === actor',
    },
  ],
  'a window that does not ask the store': [
    {
      file: 'src/process/window/load.ts',
      find: 'const asked = await askCopies(share, unsure);',
      replace: 'const asked = new Map();',
    },
  ],
};

/**
 * The source of a file with the mutation's pieces in it.
 * @throws Error when a piece is not there exactly once: the code has moved, and so must this list.
 */
export function mutate(mutation: string, file: string, source: string): string {
  const pieces = MUTATIONS[mutation];
  if (pieces === undefined) throw new Error(`there is no mutation "${mutation}"`);
  return pieces
    .filter((piece) => piece.file === file)
    .reduce((text, { find, replace }) => {
      const parts = text.split(find);
      if (parts.length === 2) return parts.join(replace);
      throw new Error(`mutation "${mutation}": ${file} has ${parts.length - 1} times: ${find}`);
    }, source);
}
