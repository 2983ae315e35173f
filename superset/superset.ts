/**
 * A real Superset on this machine: its Python environment, its own database, the dashboards of
 * bundle/, and the server. What is as it was at the last start is not done again.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, createChild, residentBytesOf, untilWeDie } from '../local/child.ts';
import { ProgramError } from '../local/error.ts';
import { refuseTakenPorts } from '../local/ports.ts';
import { realDisk } from '../src/log/disk.ts';
import type { Database } from './database.ts';
import { ADMIN, provision } from './provision.ts';
import { prepareEnvironment } from './python.ts';
import { keptSecret } from './secrets.ts';

export interface Superset {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** At this start, and not before. */
  readonly isPasswordNew: boolean;
  /** Of all its processes. */
  residentBytes(): Promise<number>;
  /** In order. */
  stop(): Promise<void>;
}

export interface SupersetOptions {
  /** Where everything of this installation lies. */
  readonly folder: string;
  /** Of the Python environment, when several installations share it. */
  readonly environment?: string;
  readonly database: Database;
  readonly port: number;
  /** Imports the dashboards even when they are as they were. */
  readonly importsAgain?: boolean | undefined;
  /** Called with what goes on, a line at a time. */
  readonly progress?: (text: string) => void;
  /** Called when the server ends by itself after it has served; `progress` has said so. */
  readonly onDeath?: () => void;
}

export const BUNDLE = join(import.meta.dirname, 'bundle');
const SERVE_MS_MAX = 120_000;
const STOP_MS_MAX = 10_000;
const LOOK_EVERY_MS = 100;
const THREADS = 8;

/** @throws ProgramError in one sentence when that cannot be. */
export async function startSuperset(options: SupersetOptions): Promise<Superset> {
  const { database, port, progress = () => undefined } = options;
  await refuseTakenPorts([port], 'Superset', '--port');
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const folder = await realpath(options.folder);
  const lock = await realDisk.lock(join(folder, 'lock'));
  if ('heldBy' in lock)
    throw new ProgramError(`${folder} is in use by process ${lock.heldBy}; choose another folder`);
  try {
    const guard = await untilWeDie();
    const made = options.environment ?? join(folder, 'environment');
    const programs = await prepareEnvironment(made, guard, progress);
    await keptSecret(folder, 'secret_key', () => randomBytes(42).toString('base64'));
    const { text: password, isNew: isPasswordNew } = await keptSecret(
      folder,
      'admin_password',
      () => randomBytes(15).toString('base64url'),
    );
    const environment = {
      PATH: process.env.PATH,
      HOME: folder,
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      FLASK_APP: 'superset',
      SUPERSET_HOME: folder,
      SUPERSET_CONFIG_PATH: join(import.meta.dirname, 'superset_config.py'),
      PYTHONPATH: import.meta.dirname,
    };
    await provision({
      ...{ folder, guard, environment, password, database, progress },
      python: join(programs, 'python'),
      bundle: BUNDLE,
      importsAgain: options.importsAgain,
    });
    progress('starting the server');
    const server = createChild({
      name: 'server',
      folder: join(folder, 'server'),
      command: [
        join(programs, 'gunicorn'),
        // One process has all answers that were asked for; SQLite wants no second writer either.
        ...['--workers', '1', '--worker-class', 'gthread', '--threads', String(THREADS)],
        ...['--timeout', '120', '--graceful-timeout', '2', '--bind', `127.0.0.1:${port}`],
        'superset.app:create_app()',
      ],
      guard,
      environment,
      log: 'output.log',
      serves: 'Booting worker',
      startMsMax: SERVE_MS_MAX,
      stopMsMax: STOP_MS_MAX,
      onDeath(sentence) {
        progress(sentence);
        options.onDeath?.();
      },
    });
    await server.start();
    const url = `http://127.0.0.1:${port}`;
    await untilItServes(url, server);
    return {
      ...{ url, user: ADMIN, password, isPasswordNew },
      async residentBytes() {
        const sizes = await Promise.all((await withChildren(server.pid)).map(residentBytesOf));
        return sizes.reduce((sum, size) => sum + size, 0);
      },
      async stop() {
        await server.stop();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Its worker loads Superset when it has begun. */
async function untilItServes(url: string, server: Child): Promise<void> {
  const untilMs = performance.now() + SERVE_MS_MAX;
  while (!(await answers(`${url}/health`))) {
    const isLate = performance.now() > untilMs;
    if (server.pid === undefined || isLate) {
      const said = (await server.output()).trimEnd().split('\n').at(-1) ?? '';
      await server.stop();
      throw new ProgramError(`Superset does not serve (${said.slice(0, 300)}).`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function withChildren(pid: number | undefined): Promise<number[]> {
  if (pid === undefined) return [];
  const file = `/proc/${pid}/task/${pid}/children`;
  const children = (await readFile(file, 'utf8').catch(() => '')).split(' ').filter(Boolean);
  return [pid, ...children.map(Number)];
}
