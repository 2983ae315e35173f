/**
 * Gives an id to an event that has none. A repeat of it cannot be recognised, which the answer
 * says (`without_id`): only the sender can know that two events are one.
 */
import { randomUUID } from 'node:crypto';
import type { Step } from '../step.ts';

export const putEventId: Step = () => (event) => {
  event.event_id ??= randomUUID();
  return undefined;
};
