/** A log in a folder of its own, a clock moved by hand, and a disk that fails: for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { type Disk, type DiskFile, realDisk } from './disk.ts';
import { type FileLog, openFileLog } from './file.ts';
import type { FileLogOptions } from './open-folder.ts';

export interface TestFolder {
  path: string;
  /** What the log called `onFatal` with. */
  fatal: Error[];
  /** Opens the folder's log; the options of the call before, with these changed. */
  open(changed?: Partial<FileLogOptions>): Promise<FileLog>;
  /** Closes the log that was opened last. */
  close(): Promise<void>;
  /** The same, and removes the folder. */
  remove(): Promise<void>;
}

export async function createTestFolder(options: Partial<FileLogOptions> = {}): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), 'clickstream-log-'));
  const fatal: Error[] = [];
  let current: FileLogOptions = {
    folder: path,
    partitions: 1,
    segmentBytes: 256 * 1024,
    keepMs: 24 * 3_600_000,
    keepBytes: 1024 ** 3,
    keepAlwaysMs: 3_600_000,
    bytesInFlightMax: 1024 ** 2,
    disk: realDisk,
    clock: realClock,
    logger: createLogger('silent'),
    onFatal: (error) => fatal.push(error),
    ...options,
  };
  let log: FileLog | undefined;
  return {
    path,
    fatal,
    async open(changed = {}) {
      current = { ...current, ...changed };
      log = await openFileLog(current);
      return log;
    },
    async close() {
      await log?.close();
    },
    async remove() {
      await log?.close();
      await rm(path, { recursive: true });
    },
  };
}

export interface HandClock extends Clock {
  /** Moves time on and wakes what has slept long enough. */
  advance(ms: number): void;
}

export function createHandClock(startMs = 1_800_000_000_000): HandClock {
  let nowMs = startMs;
  const sleepers = new Set<{ untilMs: number; wake: () => void }>();
  return {
    now: () => nowMs,
    elapsed: () => nowMs,
    sleep(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const sleeper = { untilMs: nowMs + ms, wake: resolve };
      sleepers.add(sleeper);
      signal?.addEventListener('abort', () => resolve());
      if (signal?.aborted) resolve();
      return promise;
    },
    advance(ms) {
      nowMs += ms;
      for (const sleeper of sleepers) {
        if (sleeper.untilMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}

type Write = (path: string, bytes: Uint8Array) => void | Promise<void>;

/** The real disk; what `before.write` and `before.fdatasync` throw or wait for, its files do too. */
export function createTestDisk(before: {
  write?: Write;
  fdatasync?: (path: string) => void | Promise<void>;
}): Disk {
  return {
    ...realDisk,
    async open(path, how) {
      const file = await realDisk.open(path, how);
      const watched: DiskFile = {
        ...file,
        async write(bytes, position) {
          await before.write?.(path, bytes);
          await file.write(bytes, position);
        },
        async fdatasync() {
          await before.fdatasync?.(path);
          await file.fdatasync();
        },
      };
      return watched;
    },
  };
}

export function diskError(code: 'ENOSPC' | 'EIO'): Error {
  return Object.assign(new Error(`${code}: made for a test`), { code });
}
