/**
 * The child's entry: reads its order from the parent, opens the data, listens on 127.0.0.1.
 * It ends when the parent does, so that the folder is free for the next start.
 */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { confirmWrites, createDiskWatch } from './disk-watch.ts';
import { toEngineError } from './errors.ts';
import { createGate } from './gate.ts';
import { createHandshake } from './handshake.ts';
import { createFront } from './http.ts';
import { openSessions } from './sessions.ts';
import type { Users } from './users.ts';

export interface Order {
  /** Everything the engine keeps; nothing else need be readable to it. */
  data: string;
  port: number;
  memoryBytesMax: number;
  readers: number;
  readerSeconds: number;
  /** How often it says that it is alive; the parent ends a child that it does not hear. */
  aliveEveryMs: number;
  users: Users;
  /** Whom it becomes before the data are opened; undefined stays who the parent is. */
  runAs: { uid: number; gid: number } | undefined;
}

/** What the child tells: that it listens, or why it cannot; then that it is alive. */
export type Report = { port: number } | { failed: string; code: string } | 'alive';

const MB = 1024 * 1024;
const CACHE_BYTES = 64 * MB;

/** How soon a merge is noticed that has met a full disk, when nobody asks for anything. */
const LOOK_AT_WRITES_MS = 5_000;

/** Statements that run at the end may take this long before the child ends anyway. */
const STOP_MS_MAX = 3_000;

function configFile(order: Order): string {
  const file = join(order.data, 'engine.xml');
  const settings: Record<string, number | string> = {
    max_server_memory_usage: order.memoryBytesMax,
    mark_cache_size: CACHE_BYTES,
    primary_index_cache_size: CACHE_BYTES,
    index_mark_cache_size: CACHE_BYTES,
    uncompressed_cache_size: 0,
    mmap_cache_size: 0,
    background_pool_size: 2,
    // Inserts and questions go before merges.
    os_threads_nice_value_merge_mutate: 10,
    timezone: 'UTC',
  };
  const lines = Object.entries(settings).map(([name, value]) => `  <${name}>${value}</${name}>`);
  writeFileSync(file, `<clickhouse>\n${lines.join('\n')}\n</clickhouse>\n`);
  return file;
}

/** The code was read as root; what is opened from here on is opened as somebody who may less. */
function become({ uid, gid }: { uid: number; gid: number }, data: string): void {
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
}

async function serve(order: Order): Promise<void> {
  // Events are private: what the engine writes is for its own user.
  process.umask(0o077);
  if (order.runAs !== undefined) become(order.runAs, order.data);
  const limits = {
    max_execution_time: order.readerSeconds,
    max_result_rows: 1_000_000,
    max_result_bytes: 64 * MB,
    // All readers together leave a quarter of the memory to the inserts.
    max_memory_usage: Math.floor((order.memoryBytesMax * 3) / 4 / order.readers),
    max_threads: 2,
  };
  const sessions = openSessions(order.data, configFile(order), {
    readers: order.readers,
    waitingMax: 256,
    reader: limits,
  });
  const gate = await sessions.use('writer', async (session) => createGate(session));
  const handshake = createHandshake(sessions);
  const onError = createDiskWatch(() => endNow('The disk was full or a part cannot be read'));
  setInterval(
    () => sessions.use('owner', confirmWrites).catch((error) => onError(toEngineError(error))),
    LOOK_AT_WRITES_MS,
  ).unref();
  const server = createFront({
    sessions,
    gate,
    handshake,
    users: order.users,
    limits,
    onStuck: () => endNow('A statement does not end'),
    onError,
  });
  server.on('error', (error: NodeJS.ErrnoException) => fail(error));
  server.listen(order.port, '127.0.0.1', () => {
    const address = server.address();
    report({ port: typeof address === 'object' && address !== null ? address.port : order.port });
    setInterval(() => report('alive'), order.aliveEveryMs).unref();
  });
  const stop = (): void => {
    // Killed, because an exit waits for statements that run, and they may run for hours.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_MS_MAX).unref();
    server.close();
    server.closeIdleConnections();
    sessions.close().then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', stop);
  // Ctrl-C reaches the whole group; the parent says when to stop.
  process.on('SIGINT', () => undefined);
  // The parent is dead. The next one must find the folder free at once, and a statement that is cut
  // here is cut as by a power failure: all of it, or nothing.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

/** Whatever runs is cut as by a power failure; the parent starts the next one. */
function endNow(why: string): void {
  process.stderr.write(`${why}; the engine ends itself.\n`);
  process.kill(process.pid, 'SIGKILL');
}

function report(message: Report): void {
  process.send?.(message);
}

function fail(error: NodeJS.ErrnoException): void {
  report({ failed: error.message, code: error.code ?? '' });
  setTimeout(() => process.exit(1), 50);
}

process.once('message', (order: Order) => {
  serve(order).catch(fail);
});
