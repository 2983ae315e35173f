/** The dashboards as one file, which any Superset imports on its own page and over REST. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';

/** The importer drops the first folder of each path; this is it. */
const ROOT = 'clickstream';
/** The first day that the format knows: the same files give the same bytes. */
const DAY = new Date(1980, 0, 1);

/** @param folder of the bundle: its YAML files become the entries. */
export async function zipOf(folder: string): Promise<Uint8Array> {
  const names = await readdir(folder, { recursive: true });
  const entries = names
    .filter((name) => name.endsWith('.yaml'))
    .toSorted()
    .map(async (name) => [`${ROOT}/${name}`, await readFile(join(folder, name))] as const);
  return zipSync(Object.fromEntries(await Promise.all(entries)), { mtime: DAY });
}
