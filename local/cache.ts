/**
 * What is fetched or made once, in a folder that all processes of this checkout share. One process
 * makes it, others wait for it; what is there is complete, since it appears by a rename.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { realDisk } from '../src/log/disk.ts';

export const CACHES = join(import.meta.dirname, '..', 'node_modules', '.cache');

const LOCK_POLL_MS = 100;

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

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
