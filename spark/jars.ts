/**
 * Spark itself, fetched once through Maven into a cache that all processes share, and the job,
 * compiled whenever its sources are others.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHES, fetchJars, type Progress, run, shortHash, withLock } from '../java/cache.ts';
import { ClusterError, findMaven, findTool, jvmEnvironment } from '../java/java.ts';

export interface Spark {
  /** As SPARK_HOME: the jars lie in its folder `jars`, where workers look for them. */
  readonly home: string;
  /** The jar of the job. */
  readonly job: string;
}

const POM = join(import.meta.dirname, 'pom.xml');
const pom = readFileSync(POM, 'utf8');

export const SPARK_VERSION =
  /spark-sql_2\.13<\/artifactId>\s*<version>([^<]+)/.exec(pom)?.[1] ?? '';

/** Another pom.xml is another folder. */
const HOME = join(CACHES, `spark-${SPARK_VERSION}-${shortHash(pom)}`);
const SOURCES = join(import.meta.dirname, 'job');
/** The oldest Java that Spark runs on. */
const RELEASE = '17';

/** @throws ClusterError when Spark cannot be fetched or the job cannot be compiled here. */
export async function findTools(): Promise<{ javac: string; jar: string }> {
  const otherwise =
    'The Spark job is compiled with javac, and this Java has none: install a JDK (a package such as openjdk-17-jdk-headless) or let JAVA_HOME name one.';
  const tools = {
    javac: await findTool('javac', otherwise),
    jar: await findTool('jar', otherwise),
  };
  if (!existsSync(HOME)) await findMaven('Spark');
  return tools;
}

/** @throws ClusterError in one sentence when it cannot be fetched, or the job is not right. */
export async function prepareSpark(guard: readonly string[], progress: Progress): Promise<Spark> {
  const tools = await findTools();
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(SOURCES, name));
  const texts = sources.map((path) => path + readFileSync(path, 'utf8'));
  const folder = join(HOME, `job-${shortHash(texts.join())}`);
  const spark = { home: HOME, job: join(folder, 'job.jar') };
  if (existsSync(folder)) return spark;
  await withLock(HOME, progress, async () => {
    if (!existsSync(HOME)) await fetchSpark(guard, progress);
    if (!existsSync(folder)) await compile(tools, sources, folder, guard, progress);
  });
  return spark;
}

async function fetchSpark(guard: readonly string[], progress: Progress): Promise<void> {
  progress(`fetching Spark ${SPARK_VERSION} through Maven, about 300 MB, only this once`);
  const part = `${HOME}.part`;
  await rm(part, { recursive: true, force: true });
  await fetchJars({ needs: 'Spark', pom: POM, folder: join(part, 'jars') }, guard, progress);
  await rename(part, HOME);
}

async function compile(
  { javac, jar }: { javac: string; jar: string },
  sources: readonly string[],
  folder: string,
  guard: readonly string[],
  progress: Progress,
): Promise<void> {
  progress('compiling the Spark job');
  const part = join(HOME, 'job.part');
  const classes = join(part, 'classes');
  await rm(part, { recursive: true, force: true });
  await mkdir(classes, { recursive: true });
  const options = ['--release', RELEASE, '-proc:none', '-encoding', 'UTF-8', '-d', classes];
  const commands = [
    [javac, ...options, '-cp', join(HOME, 'jars', '*'), ...sources],
    [jar, '--create', '--file', join(part, 'job.jar'), '-C', classes, '.'],
  ];
  for (const command of commands) {
    const { code, output } = await run([...guard, ...command], part, jvmEnvironment());
    if (code !== 0) throw new ClusterError(`the Spark job cannot be compiled: ${output.trim()}`);
  }
  await rm(classes, { recursive: true });
  await rename(part, folder);
}
