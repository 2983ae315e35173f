/** Secrets of this installation: made at its first start, and kept for nobody else to read. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The text of this file in the folder, made now if there is none. */
export async function keptSecret(
  folder: string,
  name: string,
  make: () => string,
): Promise<{ text: string; isNew: boolean }> {
  const file = join(folder, name);
  const kept = await read(file);
  if (kept !== undefined) return { text: kept, isNew: false };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const made = `${file}.${randomUUID()}`;
  await writeFile(made, make(), { mode: 0o600, flush: true });
  let isNew = true;
  try {
    // Whole or not at all, and never over the file of another process that was faster.
    await link(made, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    isNew = false;
  } finally {
    await rm(made);
  }
  return { text: await readFile(file, 'utf8'), isNew };
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
