/** `clickstream rejected`: what was refused, listed, mended and sent again. */
import { AppError } from '../base/errors.ts';
import type { Json } from '../event/event.ts';
import { readerOf } from '../event/read.ts';
import { REASONS } from '../event/rejection.ts';
import { openForReading } from '../open.ts';
import type { Store } from '../store/store.ts';
import { type Command, readArguments, type Surroundings } from './command.ts';
import { list } from './rejected/list.ts';
import { readJson } from './rejected/mend.ts';
import type { Selection } from './rejected/refused.ts';
import { replay } from './rejected/replay.ts';

const LIMIT_MAX = 1_000_000;

const HELP = `clickstream rejected: events that were refused; they lie in rejected_events.

  rejected list     the newest ones that are still open, and how many there are by reason
    --project P, --reason R    only these
    --from T, --to T           received from T on, before T: ISO 8601 (UTC unless it names a
                               zone) or milliseconds since 1970
    --limit N                  how many; default 50
    --all                      also those whose event is in events meanwhile
    --json                     one JSON object a line, with the whole payload, to be edited

  rejected replay   mends them and sends them to the running collector, each with its event_id,
                    so that it counts once however often this is repeated
    --reason R                 which; needed unless there is a --file
    --project P, --from T, --to T   as above
    --set field=value          puts a value: JSON if it is JSON, else text; may be repeated;
                               properties.size names a property
    --remove field             takes a field out, before --set; may be repeated
    --file F                   takes the lines of F, which list --json printed and you edited
    --dry-run                  sends nothing and says what would happen

Reasons: ${Object.keys(REASONS).join(', ')}.

  npm run clickstream rejected list
  npm run clickstream -- rejected list --reason bad_format --from 2026-05-01
  npm run clickstream -- rejected replay --reason missing --set event_name=page_view --dry-run
  npm run clickstream -- rejected replay --reason bad_format --remove quantity
  npm run -s clickstream -- rejected list --reason not_json --limit 1000 --json > refused.ndjson
  npm run clickstream -- rejected replay --file refused.ndjson
`;

const text = { type: 'string' } as const;
const texts = { type: 'string', multiple: true } as const;
const flag = { type: 'boolean' } as const;
const SELECTION = { project: text, reason: text, from: text, to: text } as const;

export const rejected: Command = {
  says: 'refused events: list them, mend them, send them again',
  help: HELP,
  async run([name, ...parameters], surroundings) {
    if (name === 'list') return runList(parameters, surroundings);
    if (name === 'replay') return runReplay(parameters, surroundings);
    throw new AppError(
      'bad_setting',
      `rejected takes list or replay${name === undefined ? '' : `, not "${name}"`}; rejected --help says more.`,
    );
  },
};

async function runList(parameters: string[], surroundings: Surroundings): Promise<number> {
  const options = { ...SELECTION, limit: text, all: flag, json: flag } as const;
  const { values } = readArguments({ args: parameters, options });
  const limit = values.limit ?? '50';
  if (!/^[1-9]\d{0,6}$/.test(limit) || Number(limit) > LIMIT_MAX)
    refuse('limit', limit, `a whole number from 1 to ${LIMIT_MAX}`);
  const asked = {
    selection: readSelection(values),
    limit: Number(limit),
    json: values.json ?? false,
    all: values.all ?? false,
  };
  return withStore(surroundings, async (store) => {
    await list(store, asked, surroundings);
    return 0;
  });
}

async function runReplay(parameters: string[], surroundings: Surroundings): Promise<number> {
  const options = { ...SELECTION, set: texts, remove: texts, file: text, 'dry-run': flag } as const;
  const { values } = readArguments({ args: parameters, options });
  if (values.reason === undefined && values.file === undefined) {
    throw new AppError(
      'bad_setting',
      `rejected replay needs --reason (${Object.keys(REASONS).join(', ')}) or --file.`,
    );
  }
  const asked = {
    selection: readSelection(values),
    mending: {
      set: (values.set ?? []).map(readSet),
      remove: (values.remove ?? []).map((name) => readPath('remove', name)),
    },
    file: values.file,
    dryRun: values['dry-run'] ?? false,
  };
  return withStore(surroundings, (store) => replay(store, asked, surroundings));
}

async function withStore(
  { config }: Surroundings,
  work: (store: Store) => Promise<number>,
): Promise<number> {
  const store = await openForReading(config);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function refuse(option: string, value: string, allows: string): never {
  throw new AppError('bad_setting', `--${option} is "${value}"; it takes ${allows}.`);
}

function readSelection(values: { [name in keyof typeof SELECTION]?: string }): Selection {
  const { project, reason } = values;
  if (reason !== undefined && !Object.hasOwn(REASONS, reason))
    refuse('reason', reason, Object.keys(REASONS).join(', '));
  return {
    project,
    reason,
    fromMs: readBound('from', values.from),
    toMs: readBound('to', values.to),
  };
}

const readTime = readerOf({ is: 'time' });

function readBound(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = readTime(value, true);
  return typeof ms === 'number' ? ms : refuse(option, value, 'ISO 8601 or ms since 1970');
}

function readSet(given: string): { path: string[]; value: Json } {
  const at = given.indexOf('=');
  if (at < 0) refuse('set', given, 'field=value');
  const path = readPath('set', given.slice(0, at));
  if (path[0] === 'event_id') {
    throw new AppError(
      'bad_setting',
      '--set cannot put an event_id: all events would be one; --remove event_id puts that of the row.',
    );
  }
  const value = given.slice(at + 1);
  const json = readJson(value) as Json | undefined;
  return { path, value: json === undefined ? value : json };
}

function readPath(option: string, name: string): string[] {
  const path = name.split('.');
  if (path.includes('')) refuse(option, name, 'the name of a field, as in properties.size');
  return path;
}
