/** An engine of its own for a test file, and requests to it as its two users. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { type Engine, type EngineOptions, startEngine } from './start.ts';

export const MB = 1024 * 1024;

export const engineOptions = (
  more: { folder: string } & Partial<EngineOptions>,
): EngineOptions => ({
  port: 0,
  memoryBytesMax: 512 * MB,
  readers: 2,
  logger: createLogger('silent'),
  clock: realClock,
  ...more,
});

export const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'clickstream-engine-'));

/** From now on each write of this process to a file fails, or none does. Linux alone has it. */
export function letWrites(pid: number | undefined, how: 'fail' | 'succeed'): void {
  const soft = how === 'fail' ? '0' : 'unlimited';
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${soft}:`]);
}

export interface Answer {
  status: number;
  code: string | null;
  text: string;
  headers: Headers;
  bytes: Buffer;
}

interface More {
  query?: string;
  headers?: Record<string, string>;
  method?: string;
}

export interface TestEngine {
  engine: Engine;
  folder: string;
  ask(who: 'owner' | 'reader', sql: string | Uint8Array<ArrayBuffer>, more?: More): Promise<Answer>;
  /** As the owner, and it must succeed. */
  own(sql: string, more?: More): Promise<Answer>;
  close(): Promise<void>;
}

/** With a table `t` of two rows. */
export async function openTestEngine(more: Partial<EngineOptions> = {}): Promise<TestEngine> {
  const folder = more.folder ?? (await newFolder());
  const engine = await startEngine(engineOptions({ ...more, folder }));
  const ask: TestEngine['ask'] = async (
    who,
    sql,
    { query = '', headers = {}, method = 'POST' } = {},
  ) => {
    const { name, password } = engine[who];
    const response = await fetch(`${engine.url}/?${query}`, {
      method,
      headers: { authorization: `Basic ${btoa(`${name}:${password}`)}`, ...headers },
      ...(method === 'POST' ? { body: sql } : {}),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    return {
      status: response.status,
      code: response.headers.get('x-clickhouse-exception-code'),
      text: bytes.toString('utf8'),
      headers: response.headers,
      bytes,
    };
  };
  const own: TestEngine['own'] = async (sql, options) => {
    const answer = await ask('owner', sql, options);
    assert.equal(answer.code, null, answer.text);
    return answer;
  };
  await own('CREATE TABLE IF NOT EXISTS t (a UInt64, b String) ENGINE = MergeTree ORDER BY a');
  await own('INSERT INTO t (a, b) FORMAT JSONCompactEachRow\n[1,"one"]\n[2,"two"]\n');
  return {
    engine,
    folder,
    ask,
    own,
    async close() {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
