/** A small file system in memory that a test can fill, and that goes away with it. */
import { execFile } from 'node:child_process';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeFolder, temporaryFolder } from '../system.ts';

const run = promisify(execFile);
const MB = 1024 * 1024;
/** Then smaller ones, until not one page is left. */
const STEPS_BYTES = [MB, 4096];

export interface SmallDisk {
  folder: string;
  /** Takes all room that is left; again, when somebody has given some back. */
  fill(): Promise<void>;
  /** Gives back what `fill` took. */
  free(): Promise<void>;
  remove(): Promise<void>;
}

/** Why there is none here, if so. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | string> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root can mount one';
  const folder = await temporaryFolder('small-disk');
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  } catch (error) {
    await removeFolder(folder);
    return `it cannot be mounted here: ${error instanceof Error ? error.message : error}`;
  }
  const ballast = join(folder, 'ballast');
  return {
    folder,
    async fill() {
      for (const bytes of STEPS_BYTES) {
        const zeros = Buffer.alloc(bytes);
        try {
          for (;;) await appendFile(ballast, zeros);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    },
    free: () => rm(ballast, { force: true }),
    async remove() {
      // Lazily: it goes even when a process that was killed has not let go of it yet.
      await run('umount', ['--lazy', folder]);
      await removeFolder(folder);
    },
  };
}
