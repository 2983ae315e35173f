/** Runs provision.py where what it was last done for has changed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ClusterError } from '../java/java.ts';
import type { Database } from './database.ts';

export const ADMIN = 'admin';

export interface Provision {
  folder: string;
  /** The Python of the environment, with what stands before it. */
  python: readonly string[];
  environment: NodeJS.ProcessEnv;
  /** The admin's. */
  password: string;
  database: Database;
  /** Even when nothing has changed. */
  importsAgain?: boolean;
  progress(text: string): void;
}

export const BUNDLE = join(import.meta.dirname, 'bundle');
const DONE = 'provisioned';
const SAID = /^clickstream: (.*)$/;

/** @throws ClusterError with the last line of what it said when it fails. */
export async function provision(options: Provision): Promise<void> {
  const { folder, python, environment, password, database, progress } = options;
  const done = join(folder, DONE);
  const of = await hashOf(database, password);
  const isDone = (await readFile(done, 'utf8').catch(() => '')) === of;
  if (isDone && options.importsAgain !== true) return;
  const [program = '', ...parameters] = [...python, join(import.meta.dirname, 'provision.py')];
  const child = spawn(program, parameters, {
    cwd: folder,
    env: environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  // What is secret is in no command line, and in no environment.
  child.stdin.end(JSON.stringify({ admin: ADMIN, password, bundle: BUNDLE, database }));
  const errors: string[] = [];
  const reading = (async () => {
    for await (const line of createInterface(child.stderr)) errors.push(line);
  })();
  for await (const line of createInterface(child.stdout)) {
    const said = SAID.exec(line)?.[1];
    if (said !== undefined) progress(said);
  }
  await reading;
  const [code] = await ended;
  const log = join(folder, 'provision.log');
  await writeFile(log, errors.map((line) => `${line}\n`).join(''));
  if (code !== 0)
    throw new ClusterError(
      `Superset could not be set up (${errors.at(-1)?.slice(0, 300)}); all of it is in ${log}`,
    );
  await writeFile(done, of);
}

/** Of all that it is made of, so that a change of any is seen. */
async function hashOf(database: Database, password: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([database, password]));
  const bundle = await readdir(BUNDLE, { recursive: true });
  const files = ['requirements.txt', 'superset_config.py', 'provision.py'];
  const names = bundle.filter((name) => name.endsWith('.yaml')).toSorted();
  for (const name of [...files, ...names.map((each) => join('bundle', each))])
    hash.update(`${name}\0`).update(await readFile(join(import.meta.dirname, name)));
  return hash.digest('hex');
}
