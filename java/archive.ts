/**
 * Archives of classes that JVMs have loaded once and later take as they are, which makes their starts
 * faster. One fits one Java and one class path; a JVM ignores one that does not fit.
 */
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Progress, shortHash } from '../local/cache.ts';
import type { Java } from './java.ts';

function nameOf(java: Java, folder: string, bytes: number): string {
  return `${shortHash(java.version + folder)}-${bytes}.jsa`;
}

/** Only with the size that its name says: a JVM dies of an archive that was cut off. */
export async function findArchive(java: Java, folder: string): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.jsa')) continue;
    const path = join(folder, name);
    if (name === nameOf(java, folder, (await stat(path)).size)) return path;
  }
  return undefined;
}

/** Has `make` write one to the path that it is given. Without one all works too, as is then said. */
export async function makeArchive(
  java: Java,
  folder: string,
  progress: Progress,
  make: (part: string) => Promise<void>,
): Promise<string> {
  progress('making a class archive, so that later starts are faster');
  const part = join(folder, 'archive.part');
  let bytes: number;
  try {
    await make(part);
    bytes = (await stat(part)).size;
  } catch (error) {
    // An empty one says that it was tried, and is ignored.
    await writeFile(part, '');
    bytes = 0;
    const why = error instanceof Error ? error.message : String(error);
    progress(`there is no class archive, so starts stay slower: ${why}`);
  }
  const path = join(folder, nameOf(java, folder, bytes));
  await rename(part, path);
  return path;
}
