/**
 * A real program as a process of its own: started until it serves, stopped in order, killed or frozen
 * as roughly as the caller likes.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ProgramError } from './error.ts';

export interface Child {
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL when that takes long; resolves when it is gone. */
  stop(): Promise<void>;
  /** Resolves when it serves again. @throws ProgramError when it ends before. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Resolves with its exit code when it has ended, by itself or not; null after a signal. */
  ended(): Promise<number | null>;
  /** What it has written to standard output and error since it was started. */
  output(): Promise<string>;
}

export interface ChildOptions {
  readonly name: string;
  /** Where it runs; `logs` in it has what it writes. */
  readonly folder: string;
  readonly command: readonly string[];
  /** What stands before the command; see `untilWeDie`. */
  readonly guard: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** The file in `logs` that it logs into. */
  readonly log: string;
  /** What it writes to its standard output when it serves; undefined: it comes to an end by itself. */
  readonly serves: string | undefined;
  readonly startMsMax: number;
  readonly stopMsMax: number;
  /** Called with one sentence when it ends by itself after it has served, though it should not. */
  onDeath(sentence: string): void;
}

const POLL_MS = 25;
/** A line of its output that says why it ended: of the job in `spark/job`, or of Java. */
const WHY = /^(?:clickstream: (?!ready$)|Exception in thread "[^"]*" |Error: )(.+)/;

export function createChild(options: ChildOptions): Child {
  const { name, folder, guard } = options;
  const [command = '', ...parameters] = [...guard, ...options.command];
  const logs = join(folder, 'logs');
  const log = join(logs, options.log);
  const output = join(logs, 'output.log');
  let child: ChildProcess | undefined;
  let ended: Promise<{ code: number | null; how: string }> = Promise.resolve({
    code: null,
    how: '',
  });
  let isMeant = false;

  async function start(): Promise<void> {
    if (child !== undefined) return;
    await mkdir(logs, { recursive: true });
    const logBytes = (await stat(log).catch(() => undefined))?.size ?? 0;
    const file = await open(output, 'w');
    // In a session of its own: a Ctrl-C in the terminal would reach all at once, and they are
    // stopped in an order.
    const started = spawn(command, parameters, {
      cwd: folder,
      env: options.environment,
      stdio: ['ignore', file.fd, file.fd],
      detached: true,
    });
    child = started;
    isMeant = false;
    let isServing = false;
    const killNow = () => started.kill('SIGKILL');
    if (guard.length === 0) process.once('exit', killNow);
    const ending = once(started, 'exit').then(
      ([code, signal]) => ({
        code: code as number | null,
        how: signal === null ? `with the exit code ${code}` : `by ${signal}`,
      }),
      (error: Error) => ({ code: null, how: `before it ran: ${error.message}` }),
    );
    ended = ending;
    void ending.then(async ({ code, how }) => {
      child = undefined;
      process.off('exit', killNow);
      if (!isServing || isMeant || options.serves === undefined) return;
      const why = code === null ? '' : await lastError(logBytes);
      options.onDeath(`${name} ended by itself ${how}${why}; its logs are in ${logs}`);
    });
    await file.close();
    const until = performance.now() + options.startMsMax;
    while (options.serves !== undefined && !(await readOutput()).includes(options.serves)) {
      const end = await Promise.race([ending, delay(POLL_MS)]);
      if (end !== undefined) {
        const why = isMeant ? '' : await lastError(logBytes);
        throw new ProgramError(
          `${name} ended while it started, ${end.how}${why}; its logs are in ${logs}`,
        );
      }
      if (performance.now() < until) continue;
      await finish('SIGKILL');
      throw new ProgramError(
        `${name} did not serve within ${options.startMsMax / 1000} s; its logs are in ${logs}`,
      );
    }
    isServing = true;
  }

  async function readOutput(): Promise<string> {
    return readFile(output, 'utf8').catch(() => '');
  }

  /** @param from where the log ended before this start */
  async function lastError(from: number): Promise<string> {
    const words = (await readOutput()).split('\n').findLast((line) => WHY.test(line));
    if (words !== undefined) return ` (${WHY.exec(words)?.[1]?.slice(0, 400)})`;
    const written = await readFile(log).catch(() => Buffer.alloc(0));
    const error = written
      .toString('utf8', from)
      .split('\n')
      .findLast((line) => / (ERROR|FATAL) /.test(line))
      ?.replace(/^\S+ \w+ /, '')
      .slice(0, 300);
    return error === undefined ? '' : ` (${error})`;
  }

  async function finish(signal: NodeJS.Signals): Promise<void> {
    if (child === undefined) return;
    isMeant = true;
    child.kill(signal);
    // A frozen process takes no other signal than SIGKILL.
    child.kill('SIGCONT');
    const waiting = new AbortController();
    const late = delay(options.stopMsMax, true, { signal: waiting.signal }).catch(() => false);
    const isLate = (await Promise.race([ended, late])) === true;
    waiting.abort();
    if (!isLate) return;
    child?.kill('SIGKILL');
    await ended;
  }

  return {
    get pid() {
      return child?.pid;
    },
    start,
    stop: () => finish('SIGTERM'),
    kill: () => finish('SIGKILL'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    ended: async () => (await ended).code,
    output: readOutput,
  };
}

/** 0 for a process that is not there, or where there is no /proc. */
export async function residentBytesOf(pid: number | undefined): Promise<number> {
  const text =
    pid === undefined ? '' : await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}

/**
 * What to put before a command so that the kernel ends it when this process dies in any way, also
 * by `kill -9`. Empty where there is no such program (macOS): there an orderly end has to do.
 */
export async function untilWeDie(): Promise<readonly string[]> {
  const guard = ['setpriv', '--pdeathsig', 'KILL'];
  return promisify(execFile)('setpriv', ['--pdeathsig', 'KILL', 'true']).then(
    () => guard,
    () => [],
  );
}
