/** One program, run to its end; it ends with this process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Run {
  readonly command: readonly string[];
  /** What stands before the command; see `untilWeDie`. */
  readonly guard?: readonly string[];
  readonly folder?: string;
  readonly environment: NodeJS.ProcessEnv;
  /** What it reads from its standard input. */
  readonly input?: string;
  /** Called with each line of its standard output. */
  readonly onLine?: (line: string) => void;
  /** It is killed when it takes longer. */
  readonly msMax?: number;
}

const MS_MAX = 3_600_000;

/**
 * Resolves when it has ended: with its exit code (null after a signal), all that it wrote, and the
 * lines of its standard error.
 */
export async function run({
  command,
  guard = [],
  folder,
  environment,
  input = '',
  onLine = () => undefined,
  msMax = MS_MAX,
}: Run): Promise<{ code: number | null; output: string; errors: readonly string[] }> {
  const [program = '', ...parameters] = [...guard, ...command];
  const child = spawn(program, parameters, {
    cwd: folder,
    env: environment,
    timeout: msMax,
    killSignal: 'SIGKILL',
  });
  const kill = () => child.kill('SIGKILL');
  if (guard.length === 0) process.once('exit', kill);
  // It may end before it has read all.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  const errors: string[] = [];
  try {
    const [[code]] = await Promise.all([
      once(child, 'close') as Promise<[number | null]>,
      eachLine(child.stdout, onLine),
      eachLine(child.stderr, (line) => errors.push(line)),
    ]);
    return { code, output, errors };
  } finally {
    process.off('exit', kill);
  }
}

async function eachLine(stream: Readable, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface(stream)) onLine(line);
}
