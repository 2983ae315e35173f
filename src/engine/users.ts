/**
 * The two users of the engine: the owner (the store's client) and the reader (people and tools).
 * Their passwords are made at the first start and kept beside the data, for nobody else to read.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../base/errors.ts';

export interface EngineUser {
  name: string;
  password: string;
}

export interface Users {
  owner: EngineUser;
  reader: EngineUser;
}

/**
 * The users of this folder, made now if there are none.
 * @throws AppError `engine_failed` when the file cannot be read.
 */
export function readUsers(folder: string): Users {
  const file = join(folder, 'users.json');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const password = () => randomBytes(18).toString('base64url');
    const users: Users = {
      owner: { name: 'clickstream', password: password() },
      reader: { name: 'reader', password: password() },
    };
    const made = `${file}.${process.pid}`;
    writeFileSync(made, JSON.stringify(users, null, 2), { mode: 0o600, flush: true });
    try {
      // Whole or not at all, and never over the file of another process that was faster.
      linkSync(made, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(made);
    }
  }
  try {
    const { owner, reader } = JSON.parse(readFileSync(file, 'utf8')) as Users;
    return { owner: readUser(owner), reader: readUser(reader) };
  } catch (cause) {
    throw new AppError(
      'engine_failed',
      `${file} does not hold the engine's users; delete it and new passwords are made.`,
      { cause },
    );
  }
}

function readUser({ name, password }: EngineUser): EngineUser {
  if (!/^\w+$/.test(name) || !/^\S{12,}$/.test(password)) throw new Error('not a user');
  return { name, password };
}

export type Who = 'owner' | 'reader';

/** Who this is; undefined for a wrong name or password. Takes the same time either way. */
export function whoIs(users: Users, name: string, password: string): Who | undefined {
  let who: Who | undefined;
  for (const [candidate, user] of [
    ['owner', users.owner],
    ['reader', users.reader],
  ] as const) {
    const isName = isEqual(user.name, name);
    const isPassword = isEqual(user.password, password);
    if (isName && isPassword) who = candidate;
  }
  return who;
}

function isEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
