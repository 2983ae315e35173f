/**
 * The command: reads the settings, starts the system, stops it in order.
 *
 *   node src/main.ts [--demo]     start (with a synthetic shop that sends events)
 *   node src/main.ts users        user and password of the embedded engine
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { realClock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { createLogger } from './base/logger.ts';
import { readConfig, settingsHelp } from './config.ts';
import { readUsers } from './open.ts';
import { start } from './start.ts';

/** An orderly stop that takes longer than this is ended: everything acknowledged is on disk. */
const STOP_MS_MAX = 5_000;

const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

const HELP = `Clickstream ${version}: self-hosted, real-time clickstream analytics.

  npm start                    everything embedded, with a synthetic shop sending events
  npm start -- --no-demo       the same without the shop
  npm run clickstream users    user and password of the embedded engine (ClickHouse protocol)
  npm run clickstream -- --help  this text

Settings are environment variables:
${settingsHelp()}
`;

function print(text: string): void {
  process.stdout.write(text);
}

async function main(): Promise<void> {
  // Events, passwords and salts are private: every file and folder made here is for this user.
  process.umask(0o077);
  const { values, positionals } = readArguments();
  if (values.help) return print(HELP);
  if (values.version) return print(`${version}\n`);
  const config = readConfig(process.env);
  if (positionals[0] === 'users') return print(readUsers(config));
  if (positionals[0] !== undefined) {
    throw new AppError('bad_setting', `"${positionals[0]}" is not a command; --help lists them.`);
  }

  const logger = createLogger(config.CLICKSTREAM_LOG_LEVEL);
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the process ends: what is on disk is checked at the next start');
    process.exit(1);
  };
  const system = await start(config, {
    clock: realClock,
    logger,
    onFatal,
    version,
    demo: values.demo ?? false,
  });
  print(
    `\n  Clickstream is running\n\n  dashboard   ${system.url}/\n${values.demo ? `  demo shop   ${system.url}/demo\n` : ''}  send        POST ${system.url}/v1/events\n  stop        Ctrl-C\n\n`,
  );
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
}

function readArguments() {
  try {
    return parseArgs({
      allowNegative: true,
      allowPositionals: true,
      options: {
        demo: { type: 'boolean' },
        help: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    });
  } catch (cause) {
    const what = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause);
    throw new AppError('bad_setting', `${what}; --help lists what there is.`, { cause });
  }
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
