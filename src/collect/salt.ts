/**
 * The salt of the day for hashes of visitors: random, known to this data folder alone, replaced at
 * midnight UTC. With it goes the last way to tell that two days' hashes are the same person.
 * It is on disk only so that a restart does not make everybody a new visitor.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';

const DAY_MS = 86_400_000;
const SALT_BYTES = 32;

interface DaysSalt {
  day: number;
  salt: string;
}

/**
 * Gives the salt of the day it is called on.
 * @throws Error when the data folder cannot be read or written, but not when it is full.
 */
export function openSalt(options: { clock: Clock; dataFolder: string }): () => string {
  const path = join(options.dataFolder, 'visitor-salt.json');
  let current = readSalt(path);
  let isKept = current !== undefined;
  const salt = () => {
    const day = Math.floor(options.clock.now() / DAY_MS);
    if (current?.day !== day) {
      current = { day, salt: randomBytes(SALT_BYTES).toString('base64url') };
      isKept = false;
    }
    if (!isKept) isKept = keep(path, current);
    return current.salt;
  };
  salt();
  return salt;
}

/** False when the disk is full: then the salt lives in memory, and the next call tries again. */
function keep(path: string, salt: DaysSalt): boolean {
  try {
    // The name is reused: the rename takes yesterday's salt off the disk.
    writeFileSync(`${path}.new`, JSON.stringify(salt), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    rmSync(path, { force: true });
    return false;
  }
}

/** Undefined when there is none, or not a whole one: then the day begins anew. */
function readSalt(path: string): DaysSalt | undefined {
  if (!existsSync(path)) return undefined;
  const parts = /^\{"day":(\d+),"salt":"([\w-]{43})"\}$/.exec(readFileSync(path, 'utf8'));
  return parts?.[2] === undefined ? undefined : { day: Number(parts[1]), salt: parts[2] };
}
