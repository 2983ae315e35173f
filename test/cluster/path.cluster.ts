/** The cases of the whole path, with a topic of a real cluster as the log. */
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startKafka, whyNoKafka } from '../../kafka/cluster.ts';
import { removeFolder, temporaryFolder } from '../system.ts';

const why = await whyNoKafka();
if (why !== undefined) test('the whole path on Kafka', { skip: why }, () => undefined);
else {
  const folder = await temporaryFolder('path-cluster');
  const kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'cluster' });
  process.env.CLICKSTREAM_TEST_LOG = `kafka://${kafka.brokers}/path?partitions=4`;
  await import('../path.test.ts');
  // Behind the hooks of that file, which stop what needs it.
  after(async () => {
    await kafka.close();
    await removeFolder(folder);
  });
}
