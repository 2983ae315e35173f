/**
 * What is fetched or made once, in a folder that all processes of this checkout share. One process
 * makes it, others wait for it; what is there is complete, since it appears by a rename.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { realDisk } from '../src/log/disk.ts';
import { ClusterError, findMaven, mavenEnvironment, type Needs } from './java.ts';

export const CACHES = join(import.meta.dirname, '..', 'node_modules', '.cache');

const LOCK_POLL_MS = 100;
const PROGRESS_MS = 2_000;

/** Called with what goes on, a line at a time. */
export type Progress = (text: string) => void;

/** Runs `work` while no other process runs its own for the same `path`. */
export async function withLock<T>(
  path: string,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  let lock = await realDisk.lock(`${path}.lock`);
  if ('heldBy' in lock) progress(`waiting for process ${lock.heldBy}, which prepares the same`);
  while ('heldBy' in lock) {
    await delay(LOCK_POLL_MS);
    lock = await realDisk.lock(`${path}.lock`);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Copies the jars of a pom.xml into a new folder. @throws ClusterError when Maven cannot. */
export async function fetchJars(
  { needs, pom, folder }: { needs: Needs; pom: string; folder: string },
  guard: readonly string[],
  progress: Progress,
): Promise<void> {
  const maven = await findMaven(needs);
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  // Not -ntp: its lines are how far it is.
  const parameters = ['-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  const fetched = await run(
    [...guard, maven, ...parameters, `-DoutputDirectory=${folder}`],
    dirname(folder),
    mavenEnvironment(),
    (output) => {
      const files = output.match(/^(\[INFO\] )?Downloaded /gm)?.length ?? 0;
      if (files > 0) progress(`${files} files so far`);
    },
  );
  if (fetched.code === 0) return;
  const [, error = fetched.output.trim()] = /^\[ERROR\] (.*)/m.exec(fetched.output) ?? [];
  throw new ClusterError(`Maven could not fetch ${needs}: ${error.slice(0, 400)}`);
}

const RUN_MS_MAX = 3_600_000;

/** Runs it to its end, or kills it when that takes too long, and answers all that it wrote. */
export async function run(
  [command = '', ...parameters]: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  progress: (output: string) => void = () => undefined,
  msMax: number = RUN_MS_MAX,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(command, parameters, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: msMax,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const timer = setInterval(() => progress(output), PROGRESS_MS);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  } finally {
    clearInterval(timer);
  }
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
