/**
 * What the commands share that bring up a cluster until Ctrl-C: how they read what was typed, and how
 * they end when something is wrong, in one sentence.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AppError } from '../src/base/errors.ts';
import { ProgramError } from './error.ts';

/**
 * @param command as in `npm run kafka`
 * @throws ProgramError that says what is wrong.
 */
export function readCommandLine<T extends ParseArgsConfig>(
  command: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  const names = Object.keys(config.options ?? {}).filter((name) => name !== 'help');
  const taken = takenByNpm(names);
  if (taken !== undefined)
    throw new ProgramError(
      `npm took --${taken} for itself; write "npm run ${command} -- --${taken} …" with two dashes before it.`,
    );
  try {
    return parseArgs(config);
  } catch (cause) {
    const what = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause);
    throw new ProgramError(`${what}; --help lists what there is.`, { cause });
  }
}

/** Says why and ends the process; what nobody expected is thrown as it is. */
export function endWith(command: string, error: unknown): never {
  const isSaid = error instanceof ProgramError || error instanceof AppError;
  // A file or folder that cannot be used: its name and the system's reason say more than a stack.
  if (!isSaid && !(error instanceof Error && 'syscall' in error)) throw error;
  process.stderr.write(`${command}: ${error.message}\n`);
  process.exit(1);
}

/** What npm took for itself of `npm run … --name`, where two dashes before it were left out. */
function takenByNpm(names: readonly string[]): string | undefined {
  return names.find((name) => `npm_config_${name.replaceAll('-', '_')}` in process.env);
}
