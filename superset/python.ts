/** The Python of this machine, and an environment of its own with Superset in it, made once. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { withLock } from '../java/cache.ts';
import { ClusterError } from '../java/java.ts';

const run = promisify(execFile);

/** Those that the requirements were resolved for. */
const MINOR_MIN = 10;
const MINOR_MAX = 12;
const NAMES = ['python3.12', 'python3.11', 'python3.10', 'python3'];
const REQUIREMENTS = ['uv.txt', 'requirements.txt'] as const;
/** What says that the environment is complete, and what it was made of. */
const MADE = 'made-of';

/** `Python 3.11.7` → 11; undefined for another one. */
export function pythonMinor(said: string): number | undefined {
  const minor = /^Python 3\.(\d+)/.exec(said)?.[1];
  return minor === undefined ? undefined : Number(minor);
}

/**
 * A Python that Superset runs on, as PATH finds it.
 * @throws ClusterError in one sentence that says what to install.
 */
export async function findPython(): Promise<string> {
  const found: string[] = [];
  for (const name of NAMES) {
    const said = await run(name, ['--version']).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
    const minor = pythonMinor(said);
    if (minor !== undefined && minor >= MINOR_MIN && minor <= MINOR_MAX) return name;
    if (said !== '') found.push(said);
  }
  const has = found.length === 0 ? 'no python3' : `only ${found.join(', ')}`;
  throw new ClusterError(
    `Superset needs Python 3.${MINOR_MIN} to 3.${MINOR_MAX}, and PATH has ${has}: install it (packages such as python3.11 and python3.11-venv).`,
  );
}

/** One sentence, when Superset cannot run on this machine. */
export async function whyNoSuperset(): Promise<string | undefined> {
  return findPython().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ClusterError) return error.message;
      throw error;
    },
  );
}

/**
 * Makes the environment in this folder, unless it is there and made of the same.
 * @returns its folder of programs
 * @throws ClusterError when that cannot be.
 */
export async function prepareEnvironment(
  folder: string,
  progress: (text: string) => void,
): Promise<string> {
  const python = await findPython();
  const programs = join(folder, 'bin');
  const hash = createHash('sha256').update((await run(python, ['--version'])).stdout);
  for (const name of REQUIREMENTS) hash.update(await readFile(join(import.meta.dirname, name)));
  const of = hash.digest('hex');
  const made = join(folder, MADE);
  return withLock(folder, progress, async () => {
    if ((await readFile(made, 'utf8').catch(() => '')) === of) return programs;
    await rm(folder, { recursive: true, force: true });
    progress('making a Python environment');
    const [uv, superset] = REQUIREMENTS.map((name) => join(import.meta.dirname, name));
    await runPython([python, '-m', 'venv', folder]);
    const pip = [join(programs, 'pip'), 'install', '--quiet', '--disable-pip-version-check'];
    await runPython([...pip, '--require-hashes', '-r', `${uv}`]);
    progress('fetching Superset, some 160 packages');
    const install = ['pip', 'install', '--quiet', '--no-deps', '--require-hashes'];
    await runPython([
      join(programs, 'uv'),
      ...install,
      '--python',
      join(programs, 'python'),
      '-r',
      `${superset}`,
    ]);
    await writeFile(made, of);
    return programs;
  });
}

/** @throws ClusterError with its last line when it fails. */
async function runPython([program = '', ...parameters]: readonly string[]): Promise<void> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let last = '';
  for await (const line of createInterface(child.stderr)) if (line.trim() !== '') last = line;
  const [code] = await ended;
  if (code !== 0)
    throw new ClusterError(
      `${program} ${parameters[0]} has failed (${last.trim().slice(0, 300)}).`,
    );
}
