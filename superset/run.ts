/** One program, run to its end; it ends with this process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Run {
  readonly command: readonly string[];
  /** What stands before the command; see `untilWeDie`. */
  readonly guard: readonly string[];
  readonly folder?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** What it reads from its standard input. */
  readonly input?: string;
  /** Called with each line of its standard output. */
  readonly onLine?: (line: string) => void;
}

/** Resolves when it has ended, with the lines of its standard error. */
export async function runProgram({
  command,
  guard,
  folder,
  environment = process.env,
  input = '',
  onLine = () => undefined,
}: Run): Promise<{ code: number | null; errors: readonly string[] }> {
  const [program = '', ...parameters] = [...guard, ...command];
  const child = spawn(program, parameters, { cwd: folder, env: environment });
  const kill = () => child.kill('SIGKILL');
  if (guard.length === 0) process.once('exit', kill);
  // It may end before it has read all.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const errors: string[] = [];
  try {
    const [[code]] = await Promise.all([
      once(child, 'exit') as Promise<[number | null]>,
      eachLine(child.stdout, onLine),
      eachLine(child.stderr, (line) => errors.push(line)),
    ]);
    return { code, errors };
  } finally {
    process.off('exit', kill);
  }
}

async function eachLine(stream: Readable, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface(stream)) onLine(line);
}
