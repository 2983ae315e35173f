/**
 * The whole system as a process of its own, for tests and benches: started on free ports with a
 * data folder of its own, killed as roughly as the caller likes, measured from outside.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readUsers } from '../src/engine/users.ts';
import { createClickHouseStore } from '../src/store/clickhouse.ts';
import type { Store } from '../src/store/store.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');

export interface SystemProcess {
  readonly url: string;
  readonly engineUrl: string;
  readonly data: string;
  readonly child: ChildProcess;
  /** Resolves when `/ready` says 200; rejects with its output when it ends before. */
  ready(): Promise<void>;
  /** Everything it wrote to standard output and error. */
  output(): string;
  /** Process ids of it and its children. */
  pids(): Promise<number[]>;
  /** Resident memory of it and its children. */
  residentBytes(): Promise<number>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to the main process alone. */
  kill(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function temporaryFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `clickstream-${name}-`));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Starts it and resolves when `/ready` says 200; rejects with its output when it ends before. */
export async function startSystem(
  data: string,
  environment: Readonly<Record<string, string>> = {},
  parameters: readonly string[] = [],
): Promise<SystemProcess> {
  const system = spawnSystem(
    data,
    {
      CLICKSTREAM_PORT: String(await freePort()),
      CLICKSTREAM_ENGINE_PORT: String(await freePort()),
      ...environment,
    },
    parameters,
  );
  await system.ready();
  return system;
}

/** Starts it and waits for nothing. */
export function spawnSystem(
  data: string,
  environment: Readonly<Record<string, string>> & {
    CLICKSTREAM_PORT: string;
    CLICKSTREAM_ENGINE_PORT: string;
  },
  parameters: readonly string[] = [],
): SystemProcess {
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    env: {
      PATH: process.env.PATH,
      CLICKSTREAM_LOG_LEVEL: 'info',
      CLICKSTREAM_DATA: data,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const url = `http://127.0.0.1:${environment.CLICKSTREAM_PORT}`;
  const pids = async () => [child.pid ?? 0, ...(await childrenOf(child.pid ?? 0))];
  return {
    url,
    engineUrl: `http://127.0.0.1:${environment.CLICKSTREAM_ENGINE_PORT}`,
    data,
    child,
    output: () => output,
    pids,
    async ready() {
      while (!(await isReady(url))) {
        const ended = await Promise.race([exited, new Promise<void>((r) => setTimeout(r, 20))]);
        if (ended !== undefined) throw new Error(`it ended with ${String(ended[0])}:\n${output}`);
      }
    },
    async residentBytes() {
      const sizes = await Promise.all((await pids()).map(residentBytesOf));
      return sizes.reduce((sum, size) => sum + size, 0);
    },
    async stop() {
      child.kill('SIGTERM');
      return (await exited)[0];
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Its own store, as the owner of the engine, who may do what nobody should. */
export function openStore({ data, engineUrl: url }: SystemProcess): Store {
  const { name: user, password } = readUsers(join(data, 'store')).owner;
  return createClickHouseStore({ url, user, password, database: 'clickstream' });
}

/** Resolves when everything on the log is in the store. */
export async function untilStored(system: SystemProcess): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${system.url}/metrics`)).text();
    const sum = (name: string): number =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'gm'))].reduce(
        (total, [, value]) => total + Number(value),
        0,
      );
    if (sum('clickstream_log_committed') === sum('clickstream_log_end')) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/ready`).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status === 200;
    },
    () => false,
  );
}

export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

async function residentBytesOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}
