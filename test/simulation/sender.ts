/**
 * Senders of events: each appends a request at a time to whichever process is there, counts as
 * acknowledged only what `append` resolved, and sends again what was not.
 */
import { AppError } from '../../src/base/errors.ts';
import type { Event } from '../../src/event/event.ts';
import { encodeRecord, recordKey, type WireRecord } from '../../src/event/wire.ts';
import type { Log, NewRecord } from '../../src/log/log.ts';
import type { Surroundings } from './disk.ts';
import type { Plan } from './plan.ts';
import { type Actor, createActor } from './scheduler.ts';

/** All that was ever given to a log, and what came of it. */
export interface Ledger {
  /** Bytes of records, as text. */
  sent: Set<string>;
  acknowledged: { partition: number; offset: number; text: string }[];
}

/** The process that takes requests now. */
export interface Front {
  actor: Actor;
  log: Log | undefined;
}

const PROJECTS = ['shop', 'blog'];
/** How long a sender waits for its acknowledgement before it sends again. */
const ANSWER_MS_MAX = 1_000;

export function startSender(
  name: string,
  around: Surroundings,
  plan: Plan,
  { ledger, front }: { ledger: Ledger; front: () => Front },
): { isDone: () => boolean } {
  const { scheduler, random, hit, trace } = around;
  const actor = createActor(name);
  const clock = scheduler.clockOf(actor);
  let isDone = false;
  let made = 0;

  function newEvent(): Omit<Event, 'received_at'> {
    made += 1;
    const isRepeated = random.chance(0.4);
    const event_id = isRepeated ? `r${random.between(1, plan.repeatedIds)}` : `${name}-${made}`;
    return {
      v: 1,
      project_id: random.pick(PROJECTS),
      event_id,
      session_id: 's',
      visitor_id: 'v',
      event_time: 1_800_000_000_000,
      event_name: 'CLICK',
      ...(random.chance(plan.poison) ? { item_price: 'not a number' } : {}),
    };
  }

  function newRecord(event: Omit<Event, 'received_at'>): NewRecord {
    const timeMs = clock.now();
    const { project_id, event_id } = event;
    let wire: WireRecord = { event: { ...event, received_at: timeMs } };
    if (event_id.endsWith('7')) {
      const refused = { reason: 'wrong_type' as const, field: 'quantity', payload: '{}' };
      wire = { rejected: { project_id, event_id, received_at: timeMs, ...refused } };
    }
    // Bytes that nobody can read stand for a record of a broken collector.
    const bytes = event_id.endsWith('9')
      ? Buffer.from(`{"v":1,"project_id":"${project_id}",${event_id}`)
      : encodeRecord(wire);
    return { key: recordKey(project_id, event_id), bytes, timeMs };
  }

  /** True when it is acknowledged. */
  async function send(events: readonly Omit<Event, 'received_at'>[]): Promise<boolean> {
    const { actor: server, log } = front();
    if (log === undefined || server.isDead) return false;
    const records = events.map(newRecord);
    const texts = records.map(({ bytes }) => bytes.toString());
    for (const text of texts) ledger.sent.add(text);
    const appended = log.append(records).then(
      (positions) => {
        // What a dead or a frozen process says is not heard.
        if (server.isDead || server.missed !== undefined || front().actor !== server) return false;
        positions.forEach((position, i) => {
          ledger.acknowledged.push({ ...position, text: texts[i] ?? '' });
        });
        trace(() => `${name}: acknowledged ${positions.map((p) => `${p.partition}/${p.offset}`)}`);
        return true;
      },
      (error: unknown) => {
        if (!(error instanceof AppError)) throw error;
        hit(`append refused: ${error.code}`);
        return false;
      },
    );
    const over = new AbortController();
    const tooLong = clock.sleep(ANSWER_MS_MAX, over.signal).then(() => false);
    const isAcknowledged = await Promise.race([appended, tooLong]);
    over.abort();
    return isAcknowledged;
  }

  async function run(): Promise<void> {
    for (let i = 0; i < plan.requestsPerSender; i += 1) {
      const events = Array.from({ length: random.between(1, 4) }, newEvent);
      if (events.length > 1 && random.chance(0.2)) events.push(...events.slice(0, 1));
      while (!(await send(events))) {
        hit('sent again');
        await clock.sleep(random.between(1, 100));
      }
      if (random.chance(0.1)) {
        hit('sent again after the acknowledgement was lost');
        await send(events);
      }
      await clock.sleep(random.between(0, plan.pauseMsMax));
    }
    isDone = true;
  }

  run();
  return { isDone: () => isDone };
}
