/** What a node's data folder holds before its first start. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The folder in which a controller keeps the metadata of the cluster. */
export const METADATA = '__cluster_metadata-0';

/** A name for a cluster or a folder, as Kafka writes them. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    // Kafka's tools would take it for an option, and Kafka gives none like it either.
    if (!id.startsWith('-')) return id;
  }
}

/** Makes the data folder of a node in one step, as Kafka's own tool would. `metadata` is what a controller begins with. */
export async function formatNode(
  folder: string,
  id: number,
  cluster: string,
  metadata: string | undefined,
): Promise<void> {
  const data = join(folder, 'data');
  if (existsSync(data)) return;
  const part = join(folder, 'data.part');
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const lines = [
    'version=1',
    `cluster.id=${cluster}`,
    `node.id=${id}`,
    `directory.id=${randomId()}`,
    '',
  ];
  await writeFile(join(part, 'meta.properties'), lines.join('\n'));
  if (metadata !== undefined) await cp(metadata, join(part, METADATA), { recursive: true });
  await rename(part, data);
}
