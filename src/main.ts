/**
 * The command: reads the settings, starts the system, stops it in order; or runs one of the
 * commands that stand beside the start.
 *
 *   node src/main.ts [--demo]         start (with a synthetic shop that sends events)
 *   node src/main.ts <command> …      `COMMANDS`
 */
import { readFileSync } from 'node:fs';
import { realClock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { createLogger } from './base/logger.ts';
import { audit } from './commands/audit.ts';
import { type Command, readArguments } from './commands/command.ts';
import { erase } from './commands/erase.ts';
import { rejected } from './commands/rejected.ts';
import { sendOriginalCommand } from './commands/send-original.ts';
import { users } from './commands/users.ts';
import { type Config, readConfig, settingsHelp } from './config.ts';
import { start } from './start.ts';

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['audit', audit],
  ['erase', erase],
  ['rejected', rejected],
  ['send-original', sendOriginalCommand],
  ['users', users],
]);

/** An orderly stop that takes longer than this is ended: everything acknowledged is on disk. */
const STOP_MS_MAX = 5_000;

const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

const HELP = `Clickstream ${version}: self-hosted, real-time clickstream analytics.

  npm start                          everything embedded, with a synthetic shop sending events
  npm start -- --no-demo             the same without the shop
  npm run clickstream                the same without the shop, as a service runs it
${[...COMMANDS].map(([name, { says }]) => `  ${`npm run clickstream ${name}`.padEnd(33)}  ${says}`).join('\n')}
  npm run clickstream -- --help      this text; <command> --help: what the command takes

Settings are environment variables:
${settingsHelp()}
`;

function print(text: string): void {
  process.stdout.write(text);
}

async function main(): Promise<void> {
  // Events, passwords and salts are private: every file and folder made here is for this user.
  process.umask(0o077);
  // Left out in silence, the one would change nothing and the other would change what it should not.
  const taken = ['heal', 'dry_run'].find((name) => `npm_config_${name}` in process.env);
  if (taken !== undefined) {
    const option = `--${taken.replace('_', '-')}`;
    throw new AppError(
      'bad_setting',
      `npm took ${option} for itself; write "npm run clickstream -- …" with two dashes before it.`,
    );
  }
  const [name = '', ...parameters] = process.argv.slice(2);
  const command = COMMANDS.get(name);
  if (command !== undefined) return runCommand(command, parameters);
  const { values, positionals } = readArguments({
    allowNegative: true,
    allowPositionals: true,
    options: {
      demo: { type: 'boolean' },
      help: { type: 'boolean' },
      version: { type: 'boolean' },
    },
  });
  if (values.help) return print(HELP);
  if (values.version) return print(`${version}\n`);
  const config = readConfig(process.env);
  if (positionals[0] !== undefined) {
    const known = [...COMMANDS.keys()].join(', ');
    throw new AppError(
      'bad_setting',
      `"${positionals[0]}" is not a command; --help lists them: ${known}.`,
    );
  }
  await runSystem(config, values.demo ?? false);
}

async function runCommand(command: Command, parameters: string[]): Promise<void> {
  if (parameters.includes('--help')) return print(command.help);
  // `… | head` closes the pipe when it has read enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const { stdout, stderr } = process;
  process.exitCode = await command.run(parameters, {
    config: readConfig(process.env),
    clock: realClock,
    stdout,
    stderr,
  });
}

async function runSystem(config: Config, demo: boolean): Promise<void> {
  const logger = createLogger(config.CLICKSTREAM_LOG_LEVEL);
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the process ends: what is on disk is checked at the next start');
    process.exit(1);
  };
  const system = await start(config, { clock: realClock, logger, onFatal, version, demo });
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) return;
    logger.info({ signal }, 'stopping');
    isStopping = true;
    setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
    system.stop().then(() => process.exit(0), onFatal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // Last: who reads it may stop it at once, and it stops in order.
  print(
    `\n  Clickstream is running\n\n  dashboard   ${system.url}/\n${demo ? `  demo shop   ${system.url}/demo\n` : ''}  send        POST ${system.url}/v1/events\n  stop        Ctrl-C\n\n`,
  );
}

main().catch((error: unknown) => {
  let text: string;
  if (error instanceof AppError) text = `${error.message} (${error.code})`;
  // A file or folder that cannot be used: its name and the system's reason say more than a stack.
  else if (error instanceof Error && 'syscall' in error)
    text = `${error.message}. Is there room, and may this user write there?`;
  else throw error;
  process.stderr.write(`clickstream: ${text}\n`);
  process.exit(1);
});
