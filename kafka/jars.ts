/**
 * Kafka itself, fetched once through Maven into a cache that all processes share: its jars, the
 * metadata of a formatted controller, and a class archive that makes every start faster.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { findArchive, makeArchive } from '../java/archive.ts';
import { fetchJars } from '../java/fetch-jars.ts';
import { type Java, jvmEnvironment } from '../java/java.ts';
import { CACHES, type Progress, shortHash, withLock } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { freeBase } from '../local/ports.ts';
import { run } from '../local/run.ts';
import { check } from '../src/base/check.ts';
import { formatNode, METADATA, randomId } from './format.ts';
import { createNode } from './node.ts';
import { places, properties } from './properties.ts';

export interface Kafka {
  readonly libs: string;
  /** What every controller's data folder begins with: the levels of Kafka's features. */
  readonly metadata: string;
  /** For the JVM: its class archive. */
  readonly options: readonly string[];
}

const POM = join(import.meta.dirname, 'pom.xml');
const pom = readFileSync(POM, 'utf8');

export const KAFKA_VERSION = /kafka_2\.13<\/artifactId>\s*<version>([^<]+)/.exec(pom)?.[1] ?? '';

/** Another pom.xml is another folder. */
const CACHE = join(CACHES, `kafka-${KAFKA_VERSION}-${shortHash(pom)}`);

const LIBS = join(CACHE, 'libs');

export function areJarsHere(): boolean {
  return existsSync(LIBS);
}

/** @throws ProgramError in one sentence when it cannot be fetched. */
export async function prepareKafka(
  java: Java,
  guard: readonly string[],
  progress: Progress,
): Promise<Kafka> {
  if (areJarsHere()) {
    const archive = await findArchive(java, CACHE);
    if (archive !== undefined) return kafkaWith(archive);
  }
  return withLock(CACHE, progress, async () => {
    if (!areJarsHere()) await fetchKafka(java, guard, progress);
    return kafkaWith(
      (await findArchive(java, CACHE)) ?? (await archiveClasses(java, guard, progress)),
    );
  });
}

function kafkaWith(archive: string): Kafka {
  return {
    libs: LIBS,
    metadata: join(CACHE, METADATA),
    options: [`-XX:SharedArchiveFile=${archive}`],
  };
}

async function fetchKafka(
  { program }: Java,
  guard: readonly string[],
  progress: Progress,
): Promise<void> {
  progress(`fetching Kafka ${KAFKA_VERSION} through Maven, about 60 MB, only this once`);
  const part = `${CACHE}.part`;
  await rm(part, { recursive: true, force: true });
  const libs = join(part, basename(LIBS));
  await fetchJars({ needs: 'Kafka', pom: POM, folder: libs }, guard, progress);
  // A formatted controller has 400 bytes that only Kafka's own tool writes, the same for all.
  const formatted = join(part, 'format');
  await mkdir(formatted);
  const [node] = places('single', 1);
  check(node !== undefined, 'a single layout has a node');
  await writeFile(join(formatted, 'server.properties'), properties(node, [node], 2_000));
  const tool = ['-cp', join(libs, '*'), 'kafka.tools.StorageTool', 'format'];
  const format = await run({
    command: [program, ...tool, '-t', randomId(), '-c', 'server.properties'],
    guard,
    folder: formatted,
    environment: jvmEnvironment(),
  });
  if (format.code !== 0)
    throw new ProgramError(`Kafka cannot be prepared: ${format.output.trim()}`);
  await rename(join(formatted, 'data', METADATA), join(part, METADATA));
  await rm(formatted, { recursive: true });
  await rename(part, CACHE);
}

/** Lets one node start and stop, and keeps the classes that it loaded. */
async function archiveClasses(
  java: Java,
  guard: readonly string[],
  progress: Progress,
): Promise<string> {
  for (const name of await readdir(CACHE))
    if (![basename(LIBS), METADATA].includes(name))
      await rm(join(CACHE, name), { recursive: true });
  const folder = join(CACHE, 'archive');
  const archive = await makeArchive(java, CACHE, progress, async (part) => {
    const [place] = places('single', await freeBase());
    check(place !== undefined, 'a single layout has a node');
    await formatNode(folder, place.id, randomId(), join(CACHE, METADATA));
    await writeFile(join(folder, 'server.properties'), properties(place, [place], 2_000));
    const options = [`-XX:ArchiveClassesAtExit=${part}`];
    const jvm = { program: java.program, libs: LIBS, options, guard };
    const node = createNode(place, folder, jvm, () => undefined);
    await node.start();
    await node.stop();
  });
  await rm(folder, { recursive: true, force: true });
  return archive;
}
