/** One life of the system under test: a process that is started, killed, and seen from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KILLING, type Kill } from './trigger.ts';

const MAIN = join(import.meta.dirname, 'killed-main.ts');
const OUTPUT_CHARS_MAX = 20_000;
const LOOK_AGAIN_MS = 5;

export interface Life {
  /** The system has started and found itself in order. Never resolves if it ends before. */
  ready: Promise<void>;
  exited: Promise<{ code: number | null; signal: string | null }>;
  hasEnded(): boolean;
  /** The end of what it wrote. */
  output(): string;
  /** Kills at this instant; undefined takes it back. */
  arm(kill: Kill | undefined): void;
  /** Resolves when it has said that it kills at this instant. */
  said(kill: Kill): Promise<void>;
  killMain(): void;
  /** Kills the engine under it, waiting for one if there is none. */
  killEngine(): Promise<void>;
  killBoth(): Promise<void>;
  /** SIGTERM. */
  stop(): Promise<number | null>;
}

export function startLife(
  environment: Readonly<Record<string, string>>,
  kill: Kill | undefined,
): Life {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env.PATH,
      ...environment,
      ...(kill === undefined ? {} : { CLICKSTREAM_TEST_KILL: JSON.stringify(kill) }),
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const said: { instant: string; resolve: () => void }[] = [];
  const instants = new Set<string>();
  let output = '';
  const listen = (chunk: string): void => {
    output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
    for (const line of chunk.split('\n')) {
      if (line.startsWith(KILLING)) instants.add(line.slice(KILLING.length + 1));
    }
    for (const { instant, resolve } of said) if (instants.has(instant)) resolve();
  };
  child.stdout?.setEncoding('utf8').on('data', listen);
  child.stderr?.setEncoding('utf8').on('data', listen);
  let hasEnded = false;
  // `close` comes when everything it wrote has been read.
  const exited = once(child, 'close').then(([code, signal]) => {
    hasEnded = true;
    return { code, signal } as Awaited<Life['exited']>;
  });
  const enginePid = async (): Promise<number | undefined> => {
    while (!hasEnded) {
      const pid = await firstChildOf(child);
      if (pid !== undefined) return pid;
      await sleep(LOOK_AGAIN_MS);
    }
    return undefined;
  };
  const killEngine = async (): Promise<void> => killIfThere(await enginePid());
  return {
    ready: new Promise((resolve) => child.once('message', () => resolve())),
    exited,
    hasEnded: () => hasEnded,
    output: () => output,
    // It may have ended meanwhile: then nobody waits for this kill.
    arm: (next) => void child.send(next ?? 'none', () => undefined),
    said(wanted) {
      return new Promise((resolve) => {
        if (instants.has(wanted.instant)) resolve();
        else said.push({ instant: wanted.instant, resolve });
      });
    },
    killMain: () => void child.kill('SIGKILL'),
    killEngine,
    async killBoth() {
      const pid = await firstChildOf(child);
      child.kill('SIGKILL');
      killIfThere(pid);
    },
    async stop() {
      child.kill('SIGTERM');
      return (await exited).code;
    },
  };
}

async function firstChildOf({ pid }: ChildProcess): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const [first] = text.split(' ').filter(Boolean);
  return first === undefined ? undefined : Number(first);
}

function killIfThere(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
