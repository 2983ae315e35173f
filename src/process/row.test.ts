/** docs/rows.md has the columns of the code. When they differ, the message shows the table to put there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FIELDS, type Kind } from '../event/event.ts';
import { COLUMNS } from './row.ts';

const page = readFileSync(new URL('../../docs/rows.md', import.meta.url), 'utf8');
const NEEDED = [
  'project_id',
  'event_id',
  'session_id',
  'visitor_id',
  'event_name',
  'event_time',
  'received_at',
];
const PLACE = ['log_id', 'log_partition', 'log_offset', 'batch_id', 'owner'];
const OF_REFUSED = ['reason', 'field', 'payload'];
const OF_COLLECTOR: Record<string, Kind> = {
  project_id: { is: 'text', charsMax: 0 },
  received_at: { is: 'time' },
  bot: { is: 'text', charsMax: 0 },
};

function asksFor(kind: Kind): string {
  if (kind.is === 'money') return 'amount';
  return kind.is === 'integer' ? `whole, ${kind.min} to ${kind.max}` : kind.is;
}

function absent(name: string, kind: Kind): string {
  if (NEEDED.includes(name)) return 'unprocessable';
  if (name === 'sequence') return '`0`';
  if (kind.is === 'items') return '`[]`';
  return kind.is === 'text' || kind.is === 'properties' ? '`""`' : '`null`';
}

test('the columns of the page are those of the code, in their order', () => {
  const kinds: Record<string, Kind> = {
    ...OF_COLLECTOR,
    ...Object.fromEntries(Object.entries(FIELDS).map(([name, { kind }]) => [name, kind])),
  };
  const lines = COLUMNS.map((name) => {
    const kind = kinds[name];
    let cells = ['what became of it', '', ''];
    if (kind !== undefined) cells = ['the event', asksFor(kind), absent(name, kind)];
    else if (PLACE.includes(name)) cells = ['the place', '', ''];
    else if (OF_REFUSED.includes(name)) cells = ['`rejected`', 'text', 'unprocessable'];
    return `| ${[`\`${name}\``, ...cells].join(' | ')} |\n`;
  });
  const table = `| column | from | asks for | absent |\n|---|---|---|---|\n${lines.join('')}`;
  const found = /<!-- columns\b[^>]*-->\n(.*?)<!-- \/columns -->/s.exec(page);
  assert.equal(found?.[1], table);
});
