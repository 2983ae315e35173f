/**
 * The child's entry: reads its order from the parent, opens the data, listens on 127.0.0.1.
 * It ends when the parent does, so that the folder is free for the next start.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGate } from './gate.ts';
import { createHandshake } from './handshake.ts';
import { createFront } from './http.ts';
import { openSessions } from './sessions.ts';
import type { Users } from './users.ts';

export interface Order {
  folder: string;
  port: number;
  memoryBytesMax: number;
  readers: number;
  users: Users;
}

/** What the child tells: that it listens, or why it cannot. */
export type Report = { port: number } | { failed: string; code: string };

const MB = 1024 * 1024;
const CACHE_BYTES = 64 * MB;

/** Statements that run at the end may take this long before the child ends anyway. */
const STOP_MS_MAX = 3_000;
/** The same when the parent is gone: nobody waits for an answer, and the next start for the folder. */
const ORPHAN_MS_MAX = 200;

function configFile(order: Order): string {
  const file = join(order.folder, 'engine.xml');
  const settings: Record<string, number | string> = {
    max_server_memory_usage: order.memoryBytesMax,
    mark_cache_size: CACHE_BYTES,
    primary_index_cache_size: CACHE_BYTES,
    index_mark_cache_size: CACHE_BYTES,
    uncompressed_cache_size: 0,
    mmap_cache_size: 0,
    background_pool_size: 2,
    timezone: 'UTC',
  };
  const lines = Object.entries(settings).map(([name, value]) => `  <${name}>${value}</${name}>`);
  writeFileSync(file, `<clickhouse>\n${lines.join('\n')}\n</clickhouse>\n`);
  return file;
}

async function serve(order: Order): Promise<void> {
  const data = join(order.folder, 'data');
  mkdirSync(data, { recursive: true });
  const sessions = openSessions(data, configFile(order), {
    readers: order.readers,
    waitingMax: 256,
    readerSeconds: 30,
    readerRowsMax: 1_000_000,
    readerBytesMax: 64 * MB,
    readerMemoryBytesMax: Math.floor(order.memoryBytesMax / 2),
  });
  const gate = await sessions.use('writer', async (session) => createGate(session));
  const handshake = createHandshake(sessions);
  const server = createFront({ sessions, gate, handshake, users: order.users });
  server.on('error', (error: NodeJS.ErrnoException) => fail(error));
  server.listen(order.port, '127.0.0.1', () => {
    const address = server.address();
    report({ port: typeof address === 'object' && address !== null ? address.port : order.port });
  });
  const stop = (waitMs: number): void => {
    // Killed, because an exit waits for statements that run, and they may run for hours.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), waitMs).unref();
    server.close();
    server.closeIdleConnections();
    sessions.close().then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', () => stop(STOP_MS_MAX));
  // Ctrl-C reaches the whole group; the parent says when to stop.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => stop(ORPHAN_MS_MAX));
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
