/**
 * Sets `event_time` by the collector's clock. A device's clock may be wrong by years, but it knows
 * how long ago something happened: one offset, received minus sent, moves the whole batch, so that
 * the order within it stays. Nothing was received before it was sent, so a clock that is ahead is
 * always corrected; one that is behind only when the network does not explain it.
 */
import { EVENT_TIME_AHEAD_MS_MAX, EVENT_TIME_MS_MIN, TRANSIT_MS_MAX } from '../limits.ts';
import type { Step } from '../step.ts';

export const correctClock: Step =
  ({ receivedAtMs, sentAtMs }) =>
  (event) => {
    if (event.sent_at === undefined && sentAtMs !== undefined) event.sent_at = sentAtMs;
    if (event.event_time === undefined) {
      event.event_time = receivedAtMs;
      return undefined;
    }
    if (event.sent_at !== undefined) {
      const offsetMs = receivedAtMs - event.sent_at;
      if (offsetMs < 0 || offsetMs > TRANSIT_MS_MAX) event.event_time += offsetMs;
    }
    const inRange =
      event.event_time >= EVENT_TIME_MS_MIN &&
      event.event_time <= receivedAtMs + EVENT_TIME_AHEAD_MS_MAX;
    return inRange ? undefined : { reason: 'out_of_range', field: 'event_time' };
  };
