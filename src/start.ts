/**
 * Puts the stages together in the order of an event's path, and takes them down in that order:
 * first no new events, then what waits is processed, then the store and the log are closed.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { createHttpServer, type Route } from './base/http.ts';
import type { Logger } from './base/logger.ts';
import { createMetrics } from './base/metrics.ts';
import { collectRoutes } from './collect/http.ts';
import { HTTP_LIMITS } from './collect/limits.ts';
import { type Config, type Role, isLoopback } from './config.ts';
import { demoRoutes } from './demo/routes.ts';
import { startTraffic } from './demo/traffic.ts';
import { healthRoutes } from './health.ts';
import type { Log } from './log/log.ts';
import { type OpenStore, openLog, openStore } from './open.ts';
import { createProcessor, type Processor } from './process/process.ts';
import { queryRoutes } from './query/http.ts';
import { createLive } from './query/live.ts';
import { createQuestions } from './query/run.ts';

export interface StartOptions {
  clock: Clock;
  logger: Logger;
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

/** How long a stop waits for the processor to store what waits on the log. */
const DRAIN_MS_MAX = 2_000;

/** How long the self-check's event may take from the collector to the store. */
const SELF_CHECK_MS_MAX = 10_000;
const SELF_PROJECT = 'self-check';

/**
 * @throws AppError with what is wrong and what to do: a port or a data folder in use, a data folder
 *   of a newer version, an engine that does not start, a self-check that fails.
 */
export async function start(config: Config, options: StartOptions): Promise<System> {
  const data = resolve(config.CLICKSTREAM_DATA);
  await mkdir(data, { recursive: true });
  const parts: Part[] = [];
  try {
    return await startParts(config, options, parts);
  } catch (error) {
    await stopParts(parts);
    throw error;
  }
}

/** Something that was started and how it is stopped; stopped in the opposite order. */
interface Part {
  name: string;
  stop(): Promise<void> | void;
}

async function stopParts(parts: Part[]): Promise<void> {
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) await part.stop();
}
