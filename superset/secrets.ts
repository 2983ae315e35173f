/** Secrets of this installation: made at its first start, and kept for nobody else to read. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The text of this file in the folder, made now if there is none. */
export async function keptSecret(
  folder: string,
  name: string,
  make: () => string,
): Promise<string> {
  const file = join(folder, name);
  try {
    await writeFile(file, make(), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFile(file, 'utf8');
}
