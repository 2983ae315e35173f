/**
 * The salt of the day for hashes of visitors: random, known to this data folder alone, replaced at
 * midnight UTC. With it goes the last way to tell that two days' hashes are the same person.
 * It is on disk only so that a restart does not make everybody a new visitor.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
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
 * @throws Error when the data folder cannot be read or written.
 */
export function openSalt(options: { clock: Clock; dataFolder: string }): () => string {
  const path = join(options.dataFolder, 'visitor-salt.json');
  const today = () => Math.floor(options.clock.now() / DAY_MS);
  let current = readSalt(path);
  const salt = () => {
    const day = today();
    if (current?.day !== day) {
      current = { day, salt: randomBytes(SALT_BYTES).toString('base64url') };
      // The name is reused: the rename takes yesterday's salt off the disk.
      writeFileSync(`${path}.new`, JSON.stringify(current), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    }
    return current.salt;
  };
  salt();
  return salt;
}

/** Undefined when there is none, or not a whole one: then the day begins anew. */
function readSalt(path: string): DaysSalt | undefined {
  if (!existsSync(path)) return undefined;
  const parts = /^\{"day":(\d+),"salt":"([\w-]{43})"\}$/.exec(readFileSync(path, 'utf8'));
  return parts?.[2] === undefined ? undefined : { day: Number(parts[1]), salt: parts[2] };
}
