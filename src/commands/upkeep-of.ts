/**
 * Where a command does its work: in the process that has the data folder open, asked over HTTP, or,
 * when there is none, in this one, which opens log and store itself.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { AppError, type Code } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log/log.ts';
import { checkLogExists, openLog, openStore } from '../open.ts';
import { createRecords } from '../process/records.ts';
import { whileHeld } from '../process/upkeep/hold.ts';
import { TOKEN_HEADER } from '../process/upkeep/http.ts';
import { createUpkeep, type Upkeep } from '../process/upkeep/upkeep.ts';
import { readToken } from '../running-file.ts';
import type { Surroundings } from './command.ts';

export interface Work<T> {
  /** What it is called while a terminal waits for it. */
  title: string;
  path: '/api/audit' | '/api/erase';
  body: Readonly<Record<string, unknown>>;
  alone(upkeep: Upkeep): Promise<T>;
}

const HOUR_MS = 3_600_000;
const TICK_MS = 1_000;

/** @throws AppError with what is wrong and what to do. */
export async function doWork<T>(
  { config, clock, stderr }: Surroundings,
  work: Work<T>,
): Promise<T> {
  checkLogExists(config);
  const stopTicking = startTicking(stderr, work.title);
  try {
    return (await doAlone(config, clock, work)) ?? ((await ask(config, work)) as T);
  } finally {
    stopTicking();
  }
}

/** Undefined when another process has the log, or the store's folder, open for itself. */
async function doAlone<T>(config: Config, clock: Clock, work: Work<T>): Promise<T | undefined> {
  const tools = {
    clock,
    logger: createLogger('warn'),
    onFatal(error: Error) {
      throw error;
    },
  };
  let log: Log;
  try {
    log = await openLog(config, tools);
  } catch (error) {
    if (error instanceof AppError && error.code === 'log_locked') return undefined;
    throw error;
  }
  try {
    // Nobody else needs to find it, and its usual port may be another one's.
    const opened = await openStore({ ...config, CLICKSTREAM_ENGINE_PORT: 0 }, tools).catch(
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'data_in_use') return undefined;
        throw error;
      },
    );
    if (opened === undefined) return undefined;
    const { store, engine } = opened;
    try {
      const records = createRecords(store);
      const partitions = Array.from({ length: log.partitions }, (_, partition) => partition);
      const takeOver = async () => records.takeOver(await records.registerLog(log.id), partitions);
      let owner: Promise<number> | undefined;
      const upkeep = createUpkeep({
        ...tools,
        log,
        store,
        records,
        windowMs: config.CLICKSTREAM_WINDOW_HOURS * HOUR_MS,
        keepMs: 0,
        signal: new AbortController().signal,
        async own(partition, work) {
          // Processors may be at work on a log that others have open as well.
          if (!log.isExclusive)
            return whileHeld(records, await records.registerLog(log.id), partition, work);
          owner ??= takeOver();
          return work({ owner: await owner, suspect: () => undefined });
        },
        async onErased() {
          if (log.isExclusive) return;
          const logId = await records.registerLog(log.id);
          for (const partition of partitions)
            await whileHeld(records, logId, partition, async () => undefined);
        },
        isDaily: () => true,
      });
      return await work.alone(upkeep);
    } finally {
      await store.close();
      await engine?.close();
    }
  } finally {
    await log.close();
  }
}

async function ask<T>(config: Config, { path, body }: Work<T>): Promise<unknown> {
  const { CLICKSTREAM_HOST: host, CLICKSTREAM_PORT: port, CLICKSTREAM_LOGIN: login } = config;
  const headers = {
    'content-type': 'application/json',
    [TOKEN_HEADER]: await readToken(config.CLICKSTREAM_DATA),
    ...(login === '' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }),
  };
  // Not by `fetch`, which waits for no more than five minutes.
  const asked = request({ host: reachable(host), port, path, method: 'POST', headers });
  asked.end(JSON.stringify(body));
  let status: number | undefined;
  let text = '';
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    status = response.statusCode;
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AppError(
      'bad_setting',
      `Clickstream runs, but does not answer at ${host}:${port} (${code}); set CLICKSTREAM_HOST and CLICKSTREAM_PORT as for the start.`,
      { cause },
    );
  }
  if (status === 200) return JSON.parse(text);
  if (status === 404) {
    throw new AppError(
      'bad_setting',
      'The Clickstream that runs on this data folder does not have the role "process": for this command set CLICKSTREAM_STORE to the address of its engine, http://user:password@host:port/clickstream, with what "clickstream users" shows of the owner.',
      { field: 'CLICKSTREAM_STORE' },
    );
  }
  const { error } = JSON.parse(text) as { error: { code: Code; message: string } };
  throw new AppError(error.code, error.message);
}

/** An address that everybody is listened to at is none to send to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** Says on a terminal that it goes on; answers how that is ended. */
function startTicking(stderr: NodeJS.WriteStream, title: string): () => void {
  if (!stderr.isTTY) return () => undefined;
  let seconds = 0;
  const timer = setInterval(() => stderr.write(`\r${title}, ${++seconds} s `), TICK_MS);
  return () => {
    clearInterval(timer);
    if (seconds > 0) stderr.write('\r\x1b[K');
  };
}
