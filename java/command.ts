/**
 * What the commands share that bring up a cluster until Ctrl-C: how they read what was typed, and how
 * they end when something is wrong, in one sentence.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AppError } from '../src/base/errors.ts';
import { ClusterError, takenByNpm } from './java.ts';

/**
 * @param command as in `npm run kafka`
 * @throws ClusterError that says what is wrong.
 */
export function readCommandLine<T extends ParseArgsConfig>(
  command: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  const names = Object.keys(config.options ?? {}).filter((name) => name !== 'help');
  const taken = takenByNpm(names);
  if (taken !== undefined)
    throw new ClusterError(
      `npm took --${taken} for itself; write "npm run ${command} -- --${taken} …" with two dashes before it.`,
    );
  try {
    return parseArgs(config);
  } catch (cause) {
    const what = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause);
    throw new ClusterError(`${what}; --help lists what there is.`, { cause });
  }
}

/** Says why and ends the process; what nobody expected is thrown as it is. */
export function endWith(command: string, error: unknown): never {
  const isSaid = error instanceof ClusterError || error instanceof AppError;
  // A file or folder that cannot be used: its name and the system's reason say more than a stack.
  if (!isSaid && !(error instanceof Error && 'syscall' in error)) throw error;
  process.stderr.write(`${command}: ${error.message}\n`);
  process.exit(1);
}
