/** The jars of a Kafka or a Spark, fetched through Maven. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Progress } from '../local/cache.ts';
import { type Needs, ProgramError } from '../local/error.ts';
import { run } from '../local/run.ts';
import { findMaven, mavenEnvironment } from './java.ts';

const PROGRESS_MS = 2_000;

/** Copies the jars of a pom.xml into a new folder. @throws ProgramError when Maven cannot. */
export async function fetchJars(
  { needs, pom, folder }: { needs: Needs; pom: string; folder: string },
  guard: readonly string[],
  progress: Progress,
): Promise<void> {
  const maven = await findMaven(needs);
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  let files = 0;
  let saidMs = performance.now();
  // Not -ntp: its lines are how far it is.
  const parameters = ['-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  const fetched = await run({
    command: [maven, ...parameters, `-DoutputDirectory=${folder}`],
    guard,
    folder: dirname(folder),
    environment: mavenEnvironment(),
    onLine(line) {
      if (!/^(\[INFO\] )?Downloaded /.test(line)) return;
      files++;
      if (performance.now() - saidMs < PROGRESS_MS) return;
      saidMs = performance.now();
      progress(`${files} files so far`);
    },
  });
  if (fetched.code === 0) return;
  const [, error = fetched.output.trim()] = /^\[ERROR\] (.*)/m.exec(fetched.output) ?? [];
  throw new ProgramError(`Maven could not fetch ${needs}: ${error.slice(0, 400)}`);
}
