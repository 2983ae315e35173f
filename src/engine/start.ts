/**
 * Starts the embedded engine as a child process, waits until it answers, watches it and starts it
 * again when it ends. The rest of the system knows it only as the address of a ClickHouse.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';

export interface EngineOptions {
  /** The store's folder; the engine's own is created in it. */
  folder: string;
  /** 0 takes a free one. Always on 127.0.0.1. */
  port: number;
  memoryBytesMax: number;
  /** Sessions that answer queries side by side. */
  readers: number;
  logger: Logger;
  clock: Clock;
}

export interface EngineUser {
  name: string;
  password: string;
}

export interface Engine {
  /** `http://127.0.0.1:<port>`; the same for the engine's whole life, restarts included. */
  readonly url: string;
  /** May do everything; only the store's client uses it. */
  readonly owner: EngineUser;
  /** May read, through the gates. For Superset, Grafana, people. */
  readonly reader: EngineUser;
  /** Process id of the child that runs now. */
  pid(): number | undefined;
  /** Ends the child in order (SIGTERM, then SIGKILL after `timeoutMs`). */
  close(timeoutMs?: number): Promise<void>;
}

/**
 * @throws AppError `port_in_use`, `data_in_use`, `data_newer` or `engine_failed`.
 */
export async function startEngine(_options: EngineOptions): Promise<Engine> {
  throw new Error('to be written');
}
