/**
 * What the collector puts into every event, in this order. Each step is one file with its test.
 * What the sender has set is never overwritten.
 */
import type { Clock } from '../base/clock.ts';
import { openSalt } from './salt.ts';
import type { Step } from './step.ts';
import { correctClock } from './steps/correct-clock.ts';
import { putBot } from './steps/put-bot.ts';
import { putChannel } from './steps/put-channel.ts';
import { putCountry } from './steps/put-country.ts';
import { putDevice } from './steps/put-device.ts';
import { putEventId } from './steps/put-event-id.ts';
import { putUrlParts } from './steps/put-url-parts.ts';
import { putVisitor } from './steps/put-visitor.ts';

/**
 * The list. Reads the table of countries and the salt of the day.
 * @throws Error when one of the files cannot be read or written.
 */
export function openSteps(options: { clock: Clock; dataFolder: string }): readonly Step[] {
  return [
    correctClock,
    putEventId,
    putDevice(),
    putCountry(),
    putBot(),
    putVisitor(openSalt(options)),
    putUrlParts(),
    putChannel,
  ];
}
