/**
 * Starts the embedded engine as a child process, waits until it answers, watches it and starts it
 * again when it ends. The rest of the system knows it only as the address of a ClickHouse.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { chmodSync, lchownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Order, Report } from './main.ts';
import { type EngineUser, readUsers } from './users.ts';

export interface EngineOptions {
  /** The store's folder; the engine's own is created in it. */
  folder: string;
  /** 0 takes a free one. Always on 127.0.0.1. */
  port: number;
  memoryBytesMax: number;
  /** Sessions that answer queries side by side. */
  readers: number;
  /** How long a statement of a reader may take; 30 if it is not said. */
  readerSeconds?: number;
  /** `uid:gid` that the child runs as, only as root; empty for the user of this process. */
  runAs?: string;
  logger: Logger;
  clock: Clock;
}

export interface Engine {
  /** `http://127.0.0.1:<port>`; the same for the engine's whole life, restarts included. */
  readonly url: string;
  /** May do everything; only the store's client uses it. */
  readonly owner: EngineUser;
  /** May read, through the gates. For Superset, Grafana, people. */
  readonly reader: EngineUser;
  /** Process id of the child that runs now. */
  pid(): number | undefined;
  /** Ends the child in order (SIGTERM, then SIGKILL after `timeoutMs`). */
  close(timeoutMs?: number): Promise<void>;
}

const READER_SECONDS = 30;
const WORDS_CHARS_MAX = 4_000;
const RESTART_MS = 100;
/** Short: a child that was killed again and again must still be back within two seconds. */
const RESTART_MS_MAX = 500;
/** A child that ran this long before it ended is started again at once. */
const STABLE_MS = 10_000;
/** How long a start waits for the engine of a killed process to let go of folder and port. */
const HELD_MS_MAX = 2_000;
const ALIVE_EVERY_MS = 250;
/** Looks in a row without a word from the child after which it is ended: about two seconds. */
const SILENT_LOOKS_MAX = 8;

/**
 * @throws AppError `port_in_use`, `data_in_use`, `bad_setting` or `engine_failed`.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { folder, logger, clock } = options;
  const users = readUsers(folder);
  const closing = new AbortController();
  const { port, memoryBytesMax, readers, readerSeconds = READER_SECONDS } = options;
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  let order: Order = {
    data,
    port,
    memoryBytesMax,
    readers,
    readerSeconds,
    aliveEveryMs: ALIVE_EVERY_MS,
    users,
    runAs: options.runAs ? giveTo(options.runAs, folder, data) : undefined,
  };
  /** Not from the start on: on a machine with much to do a child is long in coming. */
  let heldSinceMs: number | undefined;
  let running = spawnChild(order, logger);
  let first = await running.reported;
  while ('failed' in first) {
    await running.exited;
    const error = startError(options, first, running.words());
    const isHeld = error.code === 'data_in_use' || error.code === 'port_in_use';
    heldSinceMs ??= clock.elapsed();
    if (!isHeld || clock.elapsed() - heldSinceMs > HELD_MS_MAX) throw error;
    await clock.sleep(RESTART_MS);
    running = spawnChild(order, logger);
    first = await running.reported;
  }
  order = { ...order, port: first.port };

  const watch = async (): Promise<void> => {
    let waitMs = 0;
    for (;;) {
      const startedMs = clock.elapsed();
      const ended = await endOf(running, clock);
      if (closing.signal.aborted) return;
      if (clock.elapsed() - startedMs > STABLE_MS) waitMs = 0;
      const words = running.words().trim();
      logger.error({ ...ended, waitMs, words }, 'the engine ended and is started again');
      await clock.sleep(waitMs, closing.signal);
      if (closing.signal.aborted) return;
      waitMs = Math.min(Math.max(RESTART_MS, waitMs * 2), RESTART_MS_MAX);
      running = spawnChild(order, logger);
      const report = await running.reported;
      if ('failed' in report) logger.error({ reason: report.failed }, 'the engine did not start');
      else logger.info({ pid: running.child.pid }, 'the engine serves again');
    }
  };
  const watching = watch();

  return {
    url: `http://127.0.0.1:${first.port}`,
    owner: users.owner,
    reader: users.reader,
    pid: () => running.child.pid,
    async close(timeoutMs = 3_000) {
      closing.abort();
      running.child.kill('SIGTERM');
      const timer = setTimeout(() => running.child.kill('SIGKILL'), timeoutMs);
      await running.exited;
      clearTimeout(timer);
      await watching;
    },
  };
}

interface Running {
  child: ChildProcess;
  reported: Promise<Exclude<Report, 'alive'>>;
  /** True when the child has spoken since this was last asked. */
  hasSpoken(): boolean;
  /** The end of what it wrote to standard error. */
  words(): string;
  /** Never rejects, also when there was no child to begin with. */
  exited: Promise<{ code: number | null; signal: string | null }>;
}

function spawnChild(order: Order, logger: Logger): Running {
  const child = fork(join(import.meta.dirname, 'main.ts'), {
    // Nothing of the parent's environment: it may hold secrets, and a reader's SQL runs here.
    env: {
      TZ: 'UTC',
      PATH: '/usr/bin:/bin',
      UV_THREADPOOL_SIZE: String(order.readers * 2 + 6),
      MALLOC_ARENA_MAX: '2',
    },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  // The engine's own words: into our log, and the reason when it does not start.
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_CHARS_MAX);
    logger.debug({ engine: text.trimEnd() }, 'the engine says');
  });
  const exited = new Promise<Awaited<Running['exited']>>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    // A child that cannot be made, or that is gone before it was told what to do.
    child.on('error', (error) => {
      words += error.message;
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
  let spoke = true;
  const reported = new Promise<Exclude<Report, 'alive'>>((resolve) => {
    child.on('message', (report: Report) => {
      spoke = true;
      if (report !== 'alive') resolve(report);
    });
    exited.then(({ code, signal }) =>
      resolve({ failed: `it ended with ${code ?? signal}`, code: '' }),
    );
  });
  // Sent through a pipe, so that no password stands in the list of processes.
  // A child that ends before it has read it has its exit reported; nothing else is to be done.
  child.send(order, () => undefined);
  return {
    child,
    reported,
    exited,
    words: () => words,
    hasSpoken() {
      const before = spoke;
      spoke = false;
      return before;
    },
  };
}

/**
 * Resolves when the child has ended; a child that is frozen is ended first. Looks are counted, not
 * time, so that a pause of this process is not taken for one of the child.
 */
async function endOf(running: Running, clock: Clock): Promise<Awaited<Running['exited']>> {
  const ended = new AbortController();
  running.exited.then(() => ended.abort());
  await running.reported;
  for (let silent = 0; !ended.signal.aborted; ) {
    await clock.sleep(ALIVE_EVERY_MS, ended.signal);
    silent = running.hasSpoken() ? 0 : silent + 1;
    if (silent > SILENT_LOOKS_MAX) running.child.kill('SIGKILL');
  }
  return running.exited;
}

/** The data become this user's; what lies beside them (users.json) does not. */
function giveTo(runAs: string, folder: string, data: string): { uid: number; gid: number } {
  const [uid = 0, gid = 0] = runAs.split(':').map(Number);
  if (process.getuid?.() !== 0) {
    throw new AppError(
      'bad_setting',
      `CLICKSTREAM_ENGINE_USER is "${runAs}", but only root can start the engine as another user.`,
      { field: 'CLICKSTREAM_ENGINE_USER' },
    );
  }
  // It passes through, and sees nothing there but its own.
  chmodSync(folder, 0o711);
  lchownSync(data, uid, gid);
  for (const entry of readdirSync(data, { recursive: true, withFileTypes: true }))
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
  return { uid, gid };
}

function startError(
  { folder, port }: EngineOptions,
  report: { failed: string; code: string },
  words: string,
): AppError {
  if (report.code === 'EADDRINUSE') {
    return new AppError(
      'port_in_use',
      `Port ${port} is in use; set CLICKSTREAM_ENGINE_PORT to another.`,
    );
  }
  if (/Cannot lock file/.test(words)) {
    return new AppError(
      'data_in_use',
      `Another process has the store in ${folder} open; stop it or set CLICKSTREAM_DATA.`,
    );
  }
  return new AppError(
    'engine_failed',
    `The embedded engine did not start: ${report.failed} ${words.trim()}`.trim(),
  );
}
