/** The numbers as they move: now, the last ten minutes, and the last hour by minute. */
import type { LiveMinute } from '../../query/questions.ts';
import { Card } from '../ui/Card.tsx';
import { formatClock, formatNumber, formatRate, formatSeconds } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { useLive } from '../use-live.ts';

const MINUTE_MS = 60_000;
const SPAN_MINUTES = 60;

/** Sixty minutes without holes. */
function fill(minutes: readonly LiveMinute[]): { time: number; events: number; orders: number }[] {
  const byTime = new Map(minutes.map((minute) => [minute.time, minute]));
  const last = Math.max(minutes.at(-1)?.time ?? 0, Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  return Array.from({ length: SPAN_MINUTES }, (_, i) => {
    const time = last - (SPAN_MINUTES - 1 - i) * MINUTE_MS;
    const { events = 0, orders = 0 } = byTime.get(time) ?? {};
    return { time, events, orders };
  });
}

export function LiveNow() {
  const minutes = useLive((live) => live.minutes);
  const now = useLive((live) => live.now);
  const hour = fill(minutes);
  const total = (pick: (minute: LiveMinute) => number): number =>
    minutes.reduce((sum, minute) => sum + pick(minute), 0);
  return (
    <>
      <div className="cards">
        <Card
          name="Visitors now"
          value={now === undefined ? '…' : formatNumber(now.visitors)}
          note="with an event in the last 5 minutes"
          id="live-visitors"
        />
        <Card
          name="Events per second"
          value={now === undefined ? '…' : formatRate(now.events_per_second)}
          note="mean of the last 10 seconds"
          id="live-rate"
        />
        <Card
          name="Events"
          value={now === undefined ? '…' : formatNumber(total((m) => m.events))}
          note="in the last 60 minutes"
          spark={hour.map((m) => m.events)}
          id="live-events"
        />
        <Card
          name="Orders"
          value={now === undefined ? '…' : formatNumber(total((m) => m.orders))}
          note="in the last 60 minutes"
          spark={hour.map((m) => m.orders)}
          id="live-orders"
        />
        <div className="card shop-row">
          <h3>Cart to payment</h3>
          <ol>
            <li>
              <b>{formatNumber(now?.carts ?? 0)}</b> carts filled
            </li>
            <li>
              <b>{formatNumber(now?.bookings ?? 0)}</b> booking
            </li>
            <li>
              <b>{formatNumber(now?.paid ?? 0)}</b> paid
            </li>
          </ol>
          <p className="note">visits of the last 10 minutes</p>
        </div>
      </div>
      <div className="split">
        <figure className="panel">
          <figcaption>
            <h3>Events per minute</h3>
          </figcaption>
          <LineChart
            unit="events"
            points={hour.map((m) => ({ label: formatClock(m.time), value: m.events }))}
            heightPx={250}
          />
        </figure>
        <Latest />
      </div>
    </>
  );
}

function Latest() {
  const latest = useLive((live) => live.latest);
  return (
    <figure className="panel">
      <figcaption>
        <h3>Latest events</h3>
      </figcaption>
      {latest.length === 0 && <p className="state">Nothing in the last minute.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard */}
      <section className="feed" tabIndex={0} aria-label="Latest events">
        <ul>
          {latest.map((event, i) => (
            <li key={`${event.event_time} ${i}`}>
              <time>{formatSeconds(event.event_time)}</time>
              <b>{event.event_name}</b>
              <span className="muted">{event.path}</span>
            </li>
          ))}
        </ul>
      </section>
    </figure>
  );
}
