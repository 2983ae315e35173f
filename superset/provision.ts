/** Runs provision.py when anything that it works on has changed since it last came to its end. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { run } from '../local/run.ts';
import type { Database } from './database.ts';

export const ADMIN = 'admin';

export interface Provision {
  /** Of this installation. */
  readonly folder: string;
  /** The Python of the environment. */
  readonly python: string;
  readonly guard: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** The admin's. */
  readonly password: string;
  readonly database: Database;
  /** The folder of dashboards and what they are made of. */
  readonly bundle: string;
  /** Even when nothing has changed. */
  readonly importsAgain?: boolean | undefined;
  readonly progress: Progress;
}

const DONE = 'provisioned';
const SAID = /^clickstream: (.*)$/;

/** @throws ProgramError with the last line of what it said when it fails. */
export async function provision(options: Provision): Promise<void> {
  const { folder, python, guard, environment, password, database, bundle, progress } = options;
  const done = join(folder, DONE);
  const of = await hashOf(options);
  const isDone = (await readFile(done, 'utf8').catch(() => '')) === of;
  if (isDone && options.importsAgain !== true) return;
  const { code, errors } = await run({
    command: [python, join(import.meta.dirname, 'provision.py')],
    guard,
    folder,
    environment,
    // What is secret is in no command line, and in no environment.
    input: JSON.stringify({ admin: ADMIN, password, bundle, database }),
    onLine(line) {
      const said = SAID.exec(line)?.[1];
      if (said !== undefined) progress(said);
    },
  });
  const log = join(folder, 'provision.log');
  await writeFile(log, errors.map((line) => `${line}\n`).join(''));
  if (code !== 0)
    throw new ProgramError(
      `Superset could not be set up: ${errors.at(-1)?.slice(0, 400)}; all that it said is in ${log}`,
    );
  await writeFile(done, of);
}

async function hashOf({ database, password, bundle }: Provision): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([database, password]));
  const names = (await readdir(bundle, { recursive: true })).filter((name) => /\.yaml$/.test(name));
  const files = ['requirements.txt', 'superset_config.py', 'provision.py'].map((name) =>
    join(import.meta.dirname, name),
  );
  for (const file of [...files, ...names.toSorted().map((name) => join(bundle, name))])
    hash.update(`${file}\0`).update(await readFile(file));
  return hash.digest('hex');
}
