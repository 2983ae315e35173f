/**
 * `clickstream send-original`: fills a topic as the original's producer does, to see what becomes of
 * it before one's own producer is pointed anywhere.
 */
import { AppError } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import { originalMessages, sendOriginal } from '../demo/original.ts';
import { openTopic } from '../open.ts';
import { type Command, readArguments } from './command.ts';

const HELP = `npm run clickstream -- send-original [options]

Fills a topic with events of a synthetic shop in the 21-field shape of ecommerce_clickstream_data.

  --to ADDRESS   kafka://host:port/topic (default: CLICKSTREAM_SOURCE); made if it is not there
  --events N     how many (default 1000)
  --rate R       so many a second, happening as they are sent (default 50);
                 0: at once, as events of the last --days
  --days N       with --rate 0 (default 7)
  --seed N       the same seed and --from give the same bytes (default 1)
  --from TIME    ISO time of the first event, or of the last one with --rate 0 (default: now)
  --help         this text
`;

const DAY_MS = 86_400_000;
const PROGRESS_MESSAGES = 10_000;

export const sendOriginalCommand: Command = {
  says: 'fill a topic with events in the original’s shape',
  help: HELP,
  async run(parameters, { config, clock, stdout }) {
    const { values } = readArguments({
      args: parameters,
      options: {
        to: { type: 'string', default: config.CLICKSTREAM_SOURCE },
        events: { type: 'string', default: '1000' },
        rate: { type: 'string', default: '50' },
        days: { type: 'string', default: '7' },
        seed: { type: 'string', default: '1' },
        from: { type: 'string' },
      },
    });
    const { to, from } = values;
    if (to === '') {
      throw wrong('Name a topic with --to kafka://host:port/topic, or set CLICKSTREAM_SOURCE.');
    }
    const rate = numberOf('rate', values.rate);
    const startMs = from === undefined ? clock.now() : Date.parse(from);
    if (Number.isNaN(startMs)) throw wrong(`--from is "${from}"; it takes an ISO time.`);
    const messages = originalMessages({
      ...{ rate, startMs, seed: numberOf('seed', values.seed) },
      events: Math.floor(numberOf('events', values.events)),
      historyMs: Math.max(numberOf('days', values.days), 1) * DAY_MS,
    });
    const topic = await openTopic(to, config, {
      clock,
      logger: createLogger('warn'),
      onFatal(error) {
        throw error;
      },
    });
    let sent = 0;
    let told = 0;
    try {
      await sendOriginal({
        ...{ messages, clock, rate, append: (batch) => topic.append(batch) },
        onSent(all) {
          sent = all;
          if (all - told < PROGRESS_MESSAGES) return;
          told = all;
          stdout.write(`${all} messages sent\n`);
        },
      });
    } finally {
      await topic.close();
      stdout.write(`${sent} messages are on the topic\n`);
    }
    return 0;
  },
};

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text !== '' && Number.isFinite(number) && number >= 0) return number;
  throw wrong(`--${name} is "${text}"; it takes a number from 0 up.`);
}

function wrong(message: string): AppError {
  return new AppError('bad_setting', message);
}
