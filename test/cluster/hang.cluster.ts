/**
 * A broker that hangs: it takes connections and answers nothing, as a machine does whose disk or
 * memory is stuck. The other one leads after a moment, and nobody may go on asking the one that hangs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KafkaCluster, startKafka, whyNoKafka } from '../../kafka/cluster.ts';
import { realClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/logger.ts';
import { readKafkaAddress } from '../../src/log/kafka/address.ts';
import { openKafkaLog } from '../../src/log/kafka.ts';
import type { Log, NewRecord } from '../../src/log/log.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { untilInSync } from './stage.ts';

const skip = (await whyNoKafka()) ?? false;

describe('a broker that hangs', { skip }, () => {
  let folder: string;
  let kafka: KafkaCluster;
  let log: Log;
  const leaving = new AbortController();
  let owning: Promise<void>;

  before(async () => {
    folder = await temporaryFolder('hang');
    kafka = await startKafka({ folder, layout: 'cluster' });
    log = await openKafkaLog({
      address: readKafkaAddress(
        `kafka://${kafka.brokers}/hang?partitions=4`,
        'CLICKSTREAM_LOG',
        '',
      ),
      isForeign: false,
      keepMs: 3_600_000,
      ackMsMax: 12_000,
      sessionMs: 10_000,
      bytesInFlightMax: 1024 * 1024,
      clock: realClock,
      logger: createLogger('silent'),
      onFatal(error) {
        throw error;
      },
    });
    const all = Promise.withResolvers<void>();
    let owned = 0;
    owning = log.own(leaving.signal, async (_, mine) => {
      owned++;
      if (owned === log.partitions) all.resolve();
      await new Promise<void>((ended) => mine.addEventListener('abort', () => ended()));
    });
    await all.promise;
  });
  after(async () => {
    leaving.abort();
    await owning;
    await log.close();
    await kafka.close();
    await removeFolder(folder);
  });

  const records = Array.from({ length: 100 }, (_, i): NewRecord => {
    return { key: `key ${i}`, bytes: Buffer.from(`${i}`), timeMs: 1_000 };
  });

  test('the log is appended to, read, asked and committed all the same', async () => {
    await log.append(records);
    const brokers = kafka.nodes.filter(({ role }) => role === 'broker');
    for (const broker of brokers) {
      const other = brokers.find((one) => one !== broker) ?? broker;
      broker.freeze();
      try {
        const before = (await log.stats()).ends;
        await log.append(records);
        const { ends, committed } = await log.stats();
        for (const [partition, end] of ends.entries()) {
          assert.ok(end > (before[partition] ?? 0), `partition ${partition}`);
          const from = committed[partition] ?? 0;
          const limits = { recordsMax: 1_000, bytesMax: 1_000_000, waitMs: 0 };
          const read = await log.read(partition, from, limits);
          assert.equal(read.at(-1)?.offset, end - 1);
          await log.commit(partition, end, 'while it hung');
        }
        assert.deepEqual((await log.stats()).committed, ends);
      } finally {
        broker.thaw();
      }
      // The other one may only hang when this one has all there is.
      await untilInSync(kafka, ['hang', '__consumer_offsets'], 2, other);
    }
  });
});
