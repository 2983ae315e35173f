/**
 * The system as src/main.ts starts it, with a log and a store that kill at a named instant: the one
 * in CLICKSTREAM_TEST_KILL from the first instruction on, or one that the parent sends later.
 */
import { realClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/logger.ts';
import { readConfig } from '../../src/config.ts';
import { type OpenStore, openLog, openSource, openStore } from '../../src/open.ts';
import { start } from '../../src/start.ts';
import { createKillingDisk } from './killing-disk.ts';
import { createKillingStore } from './killing-store.ts';
import { createTrigger, type Kill } from './trigger.ts';

const config = readConfig(process.env);
const logger = createLogger(config.CLICKSTREAM_LOG_LEVEL);
const onFatal = (error: Error): void => {
  logger.fatal({ err: error }, 'the process ends');
  process.exit(1);
};

let opened: OpenStore | undefined;
const trigger = createTrigger(() => opened?.engine?.pid());
const first = process.env.CLICKSTREAM_TEST_KILL;
if (first !== undefined) trigger.arm(JSON.parse(first) as Kill);
process.on('message', (kill: Kill | 'none') => trigger.arm(kill === 'none' ? undefined : kill));
// Without its judge it is of no use, and nobody else would end it.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const stage = { opening: true };
start(
  config,
  { clock: realClock, logger, onFatal, version: 'crash', demo: false },
  {
    async openLog(...[settings, tools]) {
      const log = await openLog(settings, tools, createKillingDisk(trigger, stage));
      stage.opening = false;
      return log;
    },
    async openStore(...parameters) {
      opened = await openStore(...parameters);
      return { ...opened, store: createKillingStore(opened.store, trigger) };
    },
    openSource,
  },
).then((system) => {
  process.on('SIGTERM', () => system.stop().then(() => process.exit(0), onFatal));
  process.send?.('ready');
}, onFatal);
