/** The numbers as they move: now, the last ten minutes, and the last hour by minute. */
import type { LiveMinute, LiveUpdate } from '../../query/questions.ts';
import { Card } from '../ui/Card.tsx';
import { formatNumber, formatRate, formatSeconds, formatShort } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { useLive } from '../use-live.ts';

const MINUTE_MS = 60_000;
const SPAN_MINUTES = 60;
const CHART_PX = 250;

interface Minute {
  time: number;
  events: number;
  orders: number;
  revenue: number;
}

/** Sixty minutes without holes. */
function fill(minutes: readonly LiveMinute[]): Minute[] {
  const byTime = new Map(minutes.map((minute) => [minute.time, minute]));
  const last = Math.max(minutes.at(-1)?.time ?? 0, Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  return Array.from({ length: SPAN_MINUTES }, (_, i) => {
    const time = last - (SPAN_MINUTES - 1 - i) * MINUTE_MS;
    const { events = 0, orders = 0, revenue = '0' } = byTime.get(time) ?? {};
    return { time, events, orders, revenue: Number(revenue) };
  });
}

export function LiveNow() {
  const minutes = useLive((live) => live.minutes);
  const now = useLive((live) => live.now);
  const hour = fill(minutes);
  const lastHour = (name: string, pick: (minute: Minute) => number) => {
    const values = hour.map(pick);
    const total = Math.round(values.reduce((sum, value) => sum + value, 0));
    return (
      <Card
        name={name}
        value={now && formatShort(total)}
        exact={formatNumber(total)}
        note="in the last 60 minutes"
        spark={values}
        id={`live-${name.toLowerCase()}`}
      />
    );
  };
  return (
    <>
      <div className="cards live">
        <Card
          name="Visitors now"
          value={now && formatNumber(now.visitors)}
          note="with an event in the last 5 minutes"
          id="live-visitors"
        />
        <Card
          name="Events per second"
          value={now && formatRate(now.events_per_second)}
          note="mean of the last 10 seconds"
          id="live-rate"
        />
        {lastHour('Events', (minute) => minute.events)}
        {lastHour('Orders', (minute) => minute.orders)}
        {lastHour('Revenue', (minute) => minute.revenue)}
        <CartToPayment now={now} />
      </div>
      <div className="split">
        <figure className="panel">
          <figcaption>
            <h3>Events per minute</h3>
          </figcaption>
          <LineChart
            unit="events"
            points={hour.map(({ time, events }) => ({ time, value: events }))}
            heightPx={CHART_PX}
          />
        </figure>
        <Latest />
      </div>
    </>
  );
}

function CartToPayment({ now }: { now: LiveUpdate['now'] | undefined }) {
  const { carts = 0, bookings = 0, paid = 0 } = now ?? {};
  const highest = Math.max(1, carts, bookings, paid);
  const steps = [
    ['Cart filled', carts],
    ['Booked', bookings],
    ['Paid', paid],
  ] as const;
  return (
    <div className="card shop-row">
      <h3>Cart to payment</h3>
      <ol>
        {steps.map(([name, visits]) => (
          <li key={name}>
            <i style={{ width: `${(visits / highest) * 100}%` }} />
            <span>{name}</span>
            <b>{now === undefined ? '…' : formatNumber(visits)}</b>
          </li>
        ))}
      </ol>
      <p className="note">visits of the last 10 minutes</p>
    </div>
  );
}

function Latest() {
  const latest = useLive((live) => live.latest);
  return (
    <figure className="panel">
      <figcaption>
        <h3>Latest events</h3>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard */}
      <section className="feed" tabIndex={0} aria-label="Latest events">
        {latest.length === 0 && <p className="state">Nothing in the last minute.</p>}
        <ul>
          {latest.map((event, i) => (
            <li key={`${event.event_time} ${i}`}>
              <time>{formatSeconds(event.event_time)}</time>
              <b>{event.event_name}</b>
              <span className="muted" title={event.path}>
                {event.path}
              </span>
            </li>
          ))}
        </ul>
      </section>
    </figure>
  );
}
