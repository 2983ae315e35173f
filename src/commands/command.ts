/**
 * What a command is, and how its arguments are read: `clickstream <name> …` beside the start.
 */
import { once } from 'node:events';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Config } from '../config.ts';

export interface Command {
  /** One line for the help of all commands. */
  says: string;
  /** What `<name> --help` prints. */
  help: string;
  /**
   * @param parameters what stands after the name
   * @returns the exit code
   * @throws AppError, which ends the command in one sentence.
   */
  run(parameters: string[], surroundings: Surroundings): Promise<number>;
}

export interface Surroundings {
  config: Config;
  clock: Clock;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

/** @throws AppError `bad_setting` that names the options there are. */
export function readArguments<const T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (cause) {
    const what = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause);
    const known = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    const options = known.length === 0 ? 'it takes none' : known.join(', ');
    throw new AppError('bad_setting', `${what}; --help lists what there is: ${options}.`, {
      cause,
    });
  }
}

/** Resolves when there is room for more, so that a long answer does not pile up in memory. */
export async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}
