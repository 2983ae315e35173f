/**
 * Spark itself, fetched once through Maven into a cache that all processes share, with a class
 * archive that makes every start faster, and the job, compiled whenever its sources are others.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findArchive, makeArchive } from '../java/archive.ts';
import { fetchJars } from '../java/fetch-jars.ts';
import { findMaven, findTool, type Java, jvmEnvironment } from '../java/java.ts';
import { CACHES, type Progress, shortHash, withLock } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { run } from '../local/run.ts';
import { command, environment, trainingProperties } from './properties.ts';

export interface Spark {
  /** As SPARK_HOME: the jars lie in its folder `jars`, where workers look for them. */
  readonly home: string;
  /** The jar of the job. */
  readonly job: string;
  /** Of the classes that its JVMs load. */
  readonly archive: string;
}

const POM = join(import.meta.dirname, 'pom.xml');
const pom = readFileSync(POM, 'utf8');

export const SPARK_VERSION =
  /spark-sql_2\.13<\/artifactId>\s*<version>([^<]+)/.exec(pom)?.[1] ?? '';

const SOURCES = join(import.meta.dirname, 'job');
const TRAINING = join(import.meta.dirname, 'archive', 'Training.java');
/** Another pom.xml is another folder. */
const HOME = join(
  CACHES,
  `spark-${SPARK_VERSION}-${shortHash(pom + readFileSync(TRAINING, 'utf8'))}`,
);
const TRAINING_MS_MAX = 600_000;
/** The oldest Java that Spark runs on. */
const RELEASE = '17';

interface Tools {
  javac: string;
  jar: string;
}

/** @throws ProgramError when Spark cannot be fetched or the job cannot be compiled here. */
export async function findTools(): Promise<Tools> {
  const otherwise =
    'The Spark job is compiled with javac, and this Java has none: install a JDK (a package such as openjdk-17-jdk-headless) or let JAVA_HOME name one.';
  const tools = {
    javac: await findTool('javac', otherwise),
    jar: await findTool('jar', otherwise),
  };
  if (!existsSync(HOME)) await findMaven('Spark');
  return tools;
}

/** @throws ProgramError in one sentence when it cannot be fetched, or the job is not right. */
export async function prepareSpark(
  java: Java,
  guard: readonly string[],
  progress: Progress,
): Promise<Spark> {
  const tools = await findTools();
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(SOURCES, name));
  const texts = sources.map((path) => path + readFileSync(path, 'utf8'));
  const job = join(HOME, `job-${shortHash(texts.join())}.jar`);
  const found = existsSync(job) ? await findArchive(java, HOME) : undefined;
  if (found !== undefined) return { home: HOME, job, archive: found };
  return withLock(HOME, progress, async () => {
    if (!existsSync(HOME)) await fetchSpark(tools, guard, progress);
    if (!existsSync(job)) {
      progress('compiling the Spark job');
      await compile(tools, sources, join(HOME, 'jars'), job, guard);
    }
    const archive = await findArchive(java, HOME);
    return { home: HOME, job, archive: archive ?? (await archiveClasses(java, guard, progress)) };
  });
}

async function fetchSpark(
  tools: Tools,
  guard: readonly string[],
  progress: Progress,
): Promise<void> {
  progress(`fetching Spark ${SPARK_VERSION} through Maven, about 300 MB, only this once`);
  const part = `${HOME}.part`;
  const jars = join(part, 'jars');
  await rm(part, { recursive: true, force: true });
  await fetchJars({ needs: 'Spark', pom: POM, folder: jars }, guard, progress);
  await compile(tools, [TRAINING], jars, join(jars, 'training.jar'), guard);
  await rename(part, HOME);
}

/** Makes `path`, the jar of what these sources are compiled to. */
async function compile(
  { javac, jar }: Tools,
  sources: readonly string[],
  jars: string,
  path: string,
  guard: readonly string[],
): Promise<void> {
  const classes = `${path}.classes`;
  await rm(classes, { recursive: true, force: true });
  await mkdir(classes);
  const options = ['--release', RELEASE, '-proc:none', '-encoding', 'UTF-8', '-d', classes];
  const commands = [
    [javac, ...options, '-cp', join(jars, '*'), ...sources],
    [jar, '--create', '--file', `${path}.part`, '-C', classes, '.'],
  ];
  for (const command of commands) {
    const { code, output } = await run({
      command,
      guard,
      folder: classes,
      environment: jvmEnvironment(),
    });
    if (code !== 0) throw new ProgramError(`the Spark job cannot be compiled: ${output.trim()}`);
  }
  await rm(classes, { recursive: true });
  await rename(`${path}.part`, path);
}

/** Lets Spark work for a moment in one process, and keeps the classes that it loaded. */
async function archiveClasses(
  java: Java,
  guard: readonly string[],
  progress: Progress,
): Promise<string> {
  for (const name of await readdir(HOME)) if (name.endsWith('.jsa')) await rm(join(HOME, name));
  const folder = join(HOME, 'archive');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const archive = await makeArchive(java, HOME, progress, async (part) => {
    const settings = join(folder, 'spark.properties');
    const options = [`-XX:ArchiveClassesAtExit=${part}`];
    await writeFile(settings, trainingProperties(folder), { mode: 0o600 });
    const trained = await run({
      command: command(java.program, HOME, folder, 512, options, [
        ...['org.apache.spark.deploy.SparkSubmit', '--properties-file', settings],
        ...['--class', 'clickstream.archive.Training', 'spark-internal'],
      ]),
      guard,
      folder,
      environment: environment(HOME, folder),
      msMax: TRAINING_MS_MAX,
    });
    if (trained.code !== 0) throw new ProgramError(trained.output.trim().slice(-400));
  });
  // The worker of that run has its folder beside the jars.
  for (const left of [folder, join(HOME, 'work')]) await rm(left, { recursive: true, force: true });
  return archive;
}
