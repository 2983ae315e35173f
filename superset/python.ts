/** The Python of this machine, and an environment of its own with Superset in it, made once. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Progress, withLock } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { run } from '../local/run.ts';

const execute = promisify(execFile);

/** Those that the requirements were resolved for. */
const MINOR_MIN = 10;
const MINOR_MAX = 12;
const NAMES = ['python3.12', 'python3.11', 'python3.10', 'python3'];
/** Debian leaves ensurepip out, and then there is no environment to be made. */
const ASK = `import sys
try: import ensurepip, venv
except ImportError: print(sys.version.split()[0], "without venv")
else: print(sys.version.split()[0])`;
const INSTALLER = join(import.meta.dirname, 'installer.txt');
const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
/** What says that the environment is complete, and what it was made of. */
const MADE = 'made-of';

export interface Python {
  readonly program: string;
  /** As in `3.11.7`. */
  readonly version: string;
}

/**
 * A Python that Superset runs on, as PATH finds it.
 * @throws ProgramError in one sentence that says what to install.
 */
export async function findPython(path = process.env.PATH): Promise<Python> {
  const others: string[] = [];
  for (const program of NAMES) {
    const version = await execute(program, ['-c', ASK], { env: { PATH: path } }).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
    const minor = Number(/^3\.(\d+)[^ ]*$/.exec(version)?.[1]);
    if (minor >= MINOR_MIN && minor <= MINOR_MAX) return { program, version };
    if (version !== '') others.push(version);
  }
  const has = others.length === 0 ? 'has none' : `has only ${others.join(' and ')}`;
  throw new ProgramError(
    `Superset needs Python 3.${MINOR_MIN} to 3.${MINOR_MAX} with venv, and PATH ${has}: install it (packages such as python3.${MINOR_MAX} and python3.${MINOR_MAX}-venv).`,
  );
}

/** One sentence, when Superset cannot run on this machine. */
export async function whyNoSuperset(): Promise<string | undefined> {
  return findPython().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ProgramError) return error.message;
      throw error;
    },
  );
}

/**
 * Makes the environment in this folder, unless it is there and made of the same.
 * @returns its folder of programs
 * @throws ProgramError when that cannot be.
 */
export async function prepareEnvironment(
  folder: string,
  guard: readonly string[],
  progress: Progress,
): Promise<string> {
  const { program: python, version } = await findPython();
  const programs = join(folder, 'bin');
  const hash = createHash('sha256').update(version);
  for (const file of [INSTALLER, REQUIREMENTS]) hash.update(await readFile(file));
  const of = hash.digest('hex');
  const made = join(folder, MADE);
  return withLock(folder, progress, async () => {
    if ((await readFile(made, 'utf8').catch(() => '')) === of) return programs;
    await rm(folder, { recursive: true, force: true });
    progress(`making an environment of Python ${version}`);
    await install(guard, [python, '-m', 'venv', folder]);
    const hashed = ['install', '--quiet', '--require-hashes', '-r'];
    const pip = [join(programs, 'python'), '-m', 'pip', '--disable-pip-version-check'];
    await install(guard, [...pip, ...hashed, INSTALLER]);
    progress('installing Superset');
    const uv = [join(programs, 'uv'), 'pip', ...hashed, REQUIREMENTS];
    // All that it needs is in the list. What is built is built with the setuptools of installer.txt.
    const exactly = ['--no-deps', '--no-build-isolation', '--python', join(programs, 'python')];
    await install(guard, [...uv, ...exactly]);
    await writeFile(made, of);
    return programs;
  });
}

/** @throws ProgramError with the last line that says more than where, when it fails. */
async function install(guard: readonly string[], command: readonly string[]): Promise<void> {
  const { code, errors } = await run({ command, guard, environment: process.env });
  if (code === 0) return;
  const why = errors.findLast((line) => /\S/.test(line))?.trim() ?? `exit code ${code}`;
  throw new ProgramError(`Superset could not be installed: ${why.slice(0, 400)}`);
}
