/**
 * Appends to one partition: one request at a time, and all calls that come meanwhile share the next.
 * The client is idempotent within its own retries. When those are over it is not known whether the
 * records are on the topic; a copy that is sent later is recognised by its id.
 */
import { ProduceAcks, Producer } from '@platformatic/kafka';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { NewRecord } from '../log.ts';
import type { KafkaAddress } from './address.ts';
import { askInTurn, clientOptions, closeInTime, unreachable } from './connect.ts';

/** Of one request: what more waits goes with the next. */
const REQUEST_BYTES = 1024 * 1024;
const RETRY_MS = 100;
/** What the format adds to a record, at most. */
const RECORD_OVERHEAD_BYTES = 40;

interface Call {
  records: readonly NewRecord[];
  bytes: number;
  resolve(firstOffset: number): void;
  reject(error: Error): void;
}

export interface AppenderOptions {
  address: KafkaAddress;
  partition: number;
  batchBytesMax: number;
  clock: Clock;
  /** How long an append waits for the brokers: longer than they take to elect a leader. */
  ackMsMax: number;
}

export interface Appender {
  /** Resolves with the offset of the first record; they are consecutive. */
  append(records: readonly NewRecord[]): Promise<number>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

export function sizeOf(records: readonly NewRecord[]): number {
  return records.reduce(
    (sum, { key, bytes }) => sum + key.length * 3 + bytes.length + RECORD_OVERHEAD_BYTES,
    0,
  );
}

export function createAppender(options: AppenderOptions): Appender {
  const { address, partition, batchBytesMax, clock, ackMsMax } = options;
  const { topic } = address;
  const requestBytes = Math.min(REQUEST_BYTES, batchBytesMax);
  const waiting: Call[] = [];
  let producer: Producer | undefined;
  let running: Promise<void> | undefined;

  function open(): Producer {
    const client = new Producer({
      ...clientOptions(address),
      idempotent: true,
      acks: ProduceAcks.ALL,
      retries: Math.ceil(ackMsMax / RETRY_MS),
      retryDelay: RETRY_MS,
      repeatOnStaleMetadata: false,
    });
    return askInTurn(client);
  }

  /** As many calls as one request takes, whole. */
  function takeCalls(): Call[] {
    let bytes = 0;
    const end = waiting.findIndex((call, i) => {
      bytes += call.bytes;
      return i > 0 && bytes > requestBytes;
    });
    return waiting.splice(0, end === -1 ? waiting.length : end);
  }

  async function send(calls: readonly Call[]): Promise<number> {
    producer ??= open();
    const messages = calls.flatMap(({ records }) =>
      records.map(({ key, bytes, timeMs }) => ({
        topic,
        partition,
        key: Buffer.from(key),
        value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        timestamp: BigInt(timeMs),
      })),
    );
    const answered = new AbortController();
    const late = clock.sleep(ackMsMax, answered.signal).then(() => {
      throw new Error(`no acknowledgement within ${ackMsMax} ms`);
    });
    late.catch(() => undefined);
    try {
      const { offsets } = await Promise.race([producer.send({ messages }), late]);
      return Number(offsets?.[0]?.offset ?? -1);
    } catch (error) {
      const failed = producer;
      producer = undefined;
      // What it has under way has an unknown end in any case.
      closeInTime(failed, clock).catch(() => undefined);
      throw error instanceof AppError ? error : unreachable(topic, error);
    } finally {
      answered.abort();
    }
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const calls = takeCalls();
      try {
        let offset = await send(calls);
        for (const call of calls) {
          call.resolve(offset);
          offset += call.records.length;
        }
      } catch (error) {
        for (const call of calls) call.reject(error as Error);
      }
    }
    running = undefined;
  }

  return {
    append(records) {
      const bytes = sizeOf(records);
      if (bytes > batchBytesMax) {
        const message = `The log takes ${batchBytesMax} bytes at once, not ${bytes}.`;
        return Promise.reject(new AppError('too_large', message));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ records, bytes, resolve, reject });
        running ??= run();
      });
    },
    async close() {
      await running;
      if (producer !== undefined) await closeInTime(producer, clock);
    },
  };
}
