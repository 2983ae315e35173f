/**
 * Puts the stages together in the order of an event's path, and takes them down in that order:
 * first no new events, then what waits is stored, then the store and the log are closed.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { join, resolve } from 'node:path';
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { createHttpServer, type Route } from './base/http.ts';
import type { Logger } from './base/logger.ts';
import { createMetrics, type Metrics } from './base/metrics.ts';
import { collectRoutes } from './collect/http.ts';
import { HTTP_LIMITS } from './collect/limits.ts';
import { openSteps } from './collect/steps.ts';
import { type Config, isLoopback } from './config.ts';
import { demoRoutes } from './demo/routes.ts';
import { healthRoutes } from './health.ts';
import type { Log, Spooled } from './log/log.ts';
import {
  isLogShared,
  makeFolder,
  openLog,
  openLogOrLater,
  openSource,
  openSpool,
  openStore,
} from './open.ts';
import { createFreshness } from './process/freshness.ts';
import { pipelineRoute } from './process/pipeline/http.ts';
import { createProcessor, type Processor } from './process/process.ts';
import { createRecords } from './process/records.ts';
import { windowLimits } from './process/window/window.ts';
import { guard } from './query/guard.ts';
import { queryRoutes } from './query/http.ts';
import { createLive } from './query/live.ts';
import { createQuestions } from './query/run.ts';
import { openRunningFile } from './running-file.ts';
import { checkSelf, SELF_CHECK_PROJECT } from './self-check.ts';
import { firstKey, startDemo } from './start-demo.ts';
import { logGauges, logTrouble, spoolGauges } from './start-log.ts';
import { openPipeline, startLag } from './start-pipeline.ts';
import { startSource } from './start-source.ts';
import { startUpkeep, type Upkeep } from './start-upkeep.ts';
import type { Store } from './store/store.ts';

export interface StartOptions {
  clock: Clock;
  logger: Logger;
  /** A part failed so that the process must end; the next start checks what is on disk. */
  onFatal: (error: Error) => void;
  version: string;
  /** Send events of the synthetic shop: some days of history into an empty store, then live. */
  demo: boolean;
}

export interface System {
  /** `http://host:port` */
  readonly url: string;
  /** Takes it down in order; every acknowledged event is on disk whether it ends or not. */
  stop(): Promise<void>;
}

/**
 * A stop takes less than five seconds, whatever hangs: how long it waits for requests, for the
 * processor to store what waits on the log, for its last batch, and for the engine.
 */
const REQUESTS_MS_MAX = 1_000;
const DRAIN_MS_MAX = 1_500;
const LAST_BATCH_MS_MAX = 500;
const ENGINE_STOP_MS_MAX = 1_000;
/** How long `/ready` waits for the store. */
const PING_MS_MAX = 1_000;
const DASHBOARD = join(import.meta.dirname, '..', 'dist', 'dashboard');

/** How long a start waits until the store lets the processor begin. */
const OPENED_MS_MAX = 60_000;

/** How the back-ends are opened; where faults are tried out, with faults. */
export interface Open {
  openLog: typeof openLog;
  openStore: typeof openStore;
  openSource: typeof openSource;
}

/** What was opened so far, with how it is closed: in the opposite order, also after a failed start. */
type Closers = (() => Promise<void>)[];

/**
 * @throws AppError with what is wrong and what to do: a port or a data folder in use, a data folder
 *   of a newer version, an engine that does not start, a self-check that fails.
 */
export async function start(
  config: Config,
  options: StartOptions,
  open: Open = { openLog, openStore, openSource },
): Promise<System> {
  const closers: Closers = [];
  const stop = async (): Promise<void> => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  };
  try {
    return { url: await startParts(config, options, open, closers), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  config: Config,
  options: StartOptions,
  open: Open,
  closers: Closers,
): Promise<string> {
  const { clock, logger } = options;
  const roles = config.CLICKSTREAM_ROLES;
  const data = resolve(config.CLICKSTREAM_DATA);
  await makeFolder(data, 'CLICKSTREAM_DATA');
  const metrics = createMetrics();
  const keys = new Map(config.CLICKSTREAM_KEYS);
  const selfKey = randomBytes(18).toString('base64url');
  keys.set(selfKey, SELF_CHECK_PROJECT);

  // The log first: its lock is the data folder's, so a second process ends here.
  // One that others have open as well can be looked at by who only answers questions.
  const needsLog = isLogShared(config) || roles.includes('collect') || roles.includes('process');
  const opened = needsLog ? await openLogOrLater(config, options, open.openLog) : undefined;
  if (opened !== undefined) closers.push(() => opened.close());
  const spooledLog = opened && (await openSpool(config, options, opened));
  // It closes both, and does not wait long for one that is away.
  if (spooledLog !== undefined) closers.splice(-1, 1, () => spooledLog.close());
  const log = spooledLog ?? opened;
  const spooled = spooledLog && (() => spooledLog.spooled());
  const processes = roles.includes('process');
  const waiting = processes ? (await log?.stats())?.oldestWaitingMs : undefined;
  const isBehind = waiting?.some((ms) => ms !== undefined) ?? false;
  // What others process as well is not for a collector to audit.
  const audited = log?.isExclusive || processes ? log : undefined;
  const running = log === undefined ? undefined : await openRunningFile(data, audited, logger);
  closers.push(async () => running?.close());

  // A last batch that hangs ends when the store is closed, and before the log is.
  let processing = Promise.resolve();
  closers.push(() => processing);

  const needsStore = roles.includes('process') || roles.includes('query');
  const store = needsStore ? await openTheStore(config, options, open, closers) : undefined;

  const stopping = new AbortController();
  let upkeep: Upkeep | undefined;
  let processor: Processor | undefined;
  if (log && running && store && roles.includes('process')) {
    processor = createTheProcessor({ config, options, metrics, log, store });
    const ended = new AbortController();
    const work = processor.run(ended.signal);
    closers.push(() => drain(log, clock, ended, processing));
    // A log that is refused must not have told any sender 202.
    if (log.isExclusive && !(await isOpened(processor, work, clock))) {
      ended.abort();
      throw new AppError(
        'store_unreachable',
        `The store has not let the processor begin for ${OPENED_MS_MAX / 1_000} s; its log says why. Is there room on its disk?`,
      );
    }
    processing = work.catch(options.onFatal);
    const { signal } = stopping;
    const parts = { ...options, config, log, store, processor, running, signal };
    const begun = startUpkeep(parts);
    upkeep = begun;
    closers.push(async () => {
      stopping.abort();
      await begun.stop();
    });
  }

  let selfCheck = 'the self-check has not run yet';
  const isAnswering = store === undefined ? undefined : createPing(store, clock);
  const routes: Route[] = healthRoutes({
    metrics,
    version: options.version,
    async notReady() {
      const waiting: Record<string, string> = {};
      if (selfCheck !== '') waiting.self_check = selfCheck;
      const trouble = log && (await logTrouble(log, spooled));
      if (trouble !== undefined) waiting.log = trouble;
      if ((await isAnswering?.()) === false) waiting.store = 'the store does not answer';
      return waiting;
    },
  });
  if (log !== undefined && roles.includes('collect')) {
    const trustProxy = config.CLICKSTREAM_TRUST_PROXY === 'yes';
    const steps = openSteps({ clock, dataFolder: data });
    routes.push(...collectRoutes({ log, keys, clock, metrics, steps, trustProxy }));
    const { openSource } = open;
    closers.push(await startSource({ ...options, config, log, steps, metrics, openSource }));
    // For trying it out; a server that others reach has no page that writes events.
    if (isLoopback(config.CLICKSTREAM_HOST)) routes.push(...demoRoutes(firstKey(config).key));
  }
  let port = config.CLICKSTREAM_PORT;
  const isOurHost = (host: string): boolean =>
    ['127.0.0.1', 'localhost', '[::1]', config.CLICKSTREAM_HOST].some(
      (name) => host === `${name}:${port}` || (port === 80 && host === name),
    ) || !isLoopback(config.CLICKSTREAM_HOST);
  const readers = { login: config.CLICKSTREAM_LOGIN, isOurHost };
  const lastAudit = () => upkeep?.lastAudit();
  const pipeline = openPipeline({ metrics, log, store, clock, lastAudit, spooled });
  for (const route of [pipelineRoute(pipeline, clock, spooled), ...(upkeep?.routes ?? [])])
    routes.push(guard(route, readers));
  if (store !== undefined && roles.includes('query')) {
    const freshness = log === undefined ? undefined : freshnessOf(log, clock, processor, spooled);
    const questions = createQuestions({ store, clock, freshness });
    const live = createLive({ store, clock, logger, freshness });
    routes.push(
      ...queryRoutes({
        ...readers,
        questions,
        live,
        clock,
        metrics,
        dashboard: DASHBOARD,
        stopping: stopping.signal,
      }),
    );
  }
  if (log !== undefined) logGauges(metrics, log, clock);
  if (log !== undefined && store !== undefined && roles.includes('query'))
    closers.push(startLag({ ...options, log, store }));
  if (spooled !== undefined) spoolGauges(metrics, spooled, clock);

  // Behind a proxy everybody comes from its address.
  const isBehindProxy = config.CLICKSTREAM_TRUST_PROXY === 'yes';
  const addressConnectionsMax = isBehindProxy
    ? HTTP_LIMITS.connectionsMax
    : HTTP_LIMITS.addressConnectionsMax;
  const server = createHttpServer(routes, { ...HTTP_LIMITS, addressConnectionsMax }, logger);
  port = await listen(server, config);
  closers.push(() => closeServer(server, stopping));
  const host = config.CLICKSTREAM_HOST.includes(':')
    ? `[${config.CLICKSTREAM_HOST}]`
    : config.CLICKSTREAM_HOST;
  const url = `http://${host}:${port}`;

  if (store !== undefined && processor !== undefined && roles.length === 3) {
    const { signal } = stopping;
    const isSlow = isBehind || log?.isExclusive === false;
    const checked = checkSelf({
      ...{ url, key: selfKey, store, clock, signal },
      progress: processor.batches,
      isBehind: isSlow,
    });
    // What waits on the log goes first and may take minutes, and of a log that others have open as
    // well the partitions may still be theirs: it serves meanwhile.
    if (isSlow) checked.catch(options.onFatal);
    else await checked;
  }
  selfCheck = '';
  if (options.demo) closers.push(startDemo(url, config, options, store));
  return url;
}

async function openTheStore(
  config: Config,
  options: StartOptions,
  open: Open,
  closers: Closers,
): Promise<Store> {
  const { store, engine } = await open.openStore(config, options);
  if (engine !== undefined) closers.push(() => engine.close(ENGINE_STOP_MS_MAX));
  closers.push(() => store.close());
  return store;
}

interface ProcessorParts {
  config: Config;
  options: StartOptions;
  metrics: Metrics;
  log: Log;
  store: Store;
}

function createTheProcessor({ config, options, metrics, log, store }: ProcessorParts): Processor {
  return createProcessor({
    log,
    records: createRecords(store),
    clock: options.clock,
    logger: options.logger,
    metrics,
    batchRowsMax: config.CLICKSTREAM_BATCH_ROWS,
    batchBytesMax: config.CLICKSTREAM_BATCH_BYTES,
    batchIntervalMs: config.CLICKSTREAM_BATCH_MS,
    window: windowLimits(
      config.CLICKSTREAM_WINDOW_HOURS * 3_600_000,
      (config.CLICKSTREAM_WINDOW_MB * 1024 * 1024) / log.partitions,
    ),
  });
}

/** Of a log that others process as well, one's own batches say nothing of the others'. */
function freshnessOf(
  log: Log,
  clock: Clock,
  processor: Processor | undefined,
  spooled: (() => Spooled) | undefined,
) {
  const batches = log.isExclusive ? processor?.batches : undefined;
  return { ...createFreshness(log, clock, spooled), batches };
}

/** Lets the processor store what waits on the log, then ends it. */
async function drain(
  log: Log,
  clock: Clock,
  ended: AbortController,
  processing: Promise<void>,
): Promise<void> {
  const startedMs = clock.elapsed();
  const waits = async () => (await log.stats()).oldestWaitingMs.some((ms) => ms !== undefined);
  // Of a log that others have open as well they go on with what waits.
  while (log.isExclusive && (await waits()) && clock.elapsed() - startedMs < DRAIN_MS_MAX)
    await clock.sleep(20);
  ended.abort();
  await Promise.race([processing, clock.sleep(LAST_BATCH_MS_MAX)]);
}

/** Whether each partition was found to be as the store knows it, in time. Rejects with the processor. */
async function isOpened(processor: Processor, work: Promise<void>, clock: Clock): Promise<boolean> {
  const late = new AbortController();
  const opened = Promise.race([processor.opened(), work]).then(() => true);
  const limit = clock.sleep(OPENED_MS_MAX, late.signal).then(() => false);
  try {
    return await Promise.race([opened, limit]);
  } finally {
    late.abort();
  }
}

/** Whether the store answers in time; one question at a time, however many ask. */
function createPing(store: Store, clock: Clock): () => Promise<boolean> {
  let asking: Promise<boolean> | undefined;
  return () => {
    asking ??= store.ping().finally(() => {
      asking = undefined;
    });
    return Promise.race([asking, clock.sleep(PING_MS_MAX).then(() => false)]);
  };
}

async function listen(server: Server, config: Config): Promise<number> {
  server.listen(config.CLICKSTREAM_PORT, config.CLICKSTREAM_HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const where = `${config.CLICKSTREAM_HOST}:${config.CLICKSTREAM_PORT}`;
    if (code === 'EADDRINUSE') {
      throw new AppError(
        'port_in_use',
        `Another program listens on ${where}; set CLICKSTREAM_PORT to another port.`,
      );
    }
    throw new AppError(
      'bad_setting',
      `It cannot listen on ${where} (${code}); set CLICKSTREAM_HOST to an address of this machine.`,
    );
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : config.CLICKSTREAM_PORT;
}

async function closeServer(server: Server, stopping: AbortController): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  stopping.abort();
  server.closeIdleConnections();
  // Requests that are being answered get a moment; one that is slower is cut and will be repeated.
  const timer = setTimeout(() => server.closeAllConnections(), REQUESTS_MS_MAX);
  await closed;
  clearTimeout(timer);
}
