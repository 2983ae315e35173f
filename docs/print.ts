/**
 * Prints the pages that follow from the code: configuration.md, errors.md, questions.md.
 * `npx node docs/print.ts` writes them; test/docs.test.ts fails when one is not fresh.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CODES } from '../src/base/errors.ts';
import { SETTINGS } from '../src/config.ts';
import { REASONS } from '../src/event/rejection.ts';
import { FILTER_FIELDS, RANGES } from '../src/query/params.ts';
import { isLive, readHeader, readSqlFiles } from '../src/query/run.ts';

const MADE = 'Printed from the code by `npx node docs/print.ts`; a test keeps it fresh.';

function configuration(): string {
  const rows = Object.entries(SETTINGS).map(
    ([name, { default: value, allows, says }]) =>
      `| \`${name}\` | ${value === '' ? '(empty)' : `\`${value}\``} | ${says} | ${allows} |`,
  );
  return `# Configuration

Settings are environment variables, read once at the start. A wrong value stops the start and says what is allowed; an unknown \`CLICKSTREAM_…\` name does too. ${MADE}

| name | default | what it sets | what it takes |
|---|---|---|---|
${rows.join('\n')}

Everything listens on a loopback address unless told otherwise. On any other address the start is refused until write keys and a login are set: there is no default secret.
`;
}

function errors(): string {
  const rows = Object.entries(CODES).map(
    ([code, [status, says]]) => `| \`${code}\` | ${status || '–'} | ${says} |`,
  );
  const reasons = Object.entries(REASONS).map(([reason, says]) => `| \`${reason}\` | ${says} |`);
  return `# Errors

Every error answer has the same shape: \`{"error": {"code", "message", "field"?}}\`. The message says what is wrong and what to do; the code is for programs. ${MADE}

| code | HTTP | what it means |
|---|---|---|
${rows.join('\n')}

Codes without an HTTP status end a start, or are handled by the system itself and stand in its log.

## Why an event is refused

A refused event is answered with its index, reason and field, kept in \`rejected_events\`, and counted; the others of its request are taken. The list is closed.

| reason | what it means |
|---|---|
${reasons.join('\n')}
`;
}

function questions(): string {
  const files = [...readSqlFiles()].filter(([name]) => !isLive(name));
  const rows = files.map(([name, sql]) => {
    const header = readHeader(name, sql);
    return `| [\`${name}\`](../src/query/sql/${name}.sql) | ${header.answers} | ${header.takes} | ${header.costs} |`;
  });
  return `# Questions

\`GET /api/projects/<project>/<question>?…\` answers \`{columns, rows, freshness: {stored_until, behind_ms}, took_ms}\`, or CSV with \`Accept: text/csv\` or \`format=csv\`. A question has one name from its SQL file to its chart. ${MADE}

\`\`\`sh
curl 'http://127.0.0.1:3900/api/projects/shop/top_pages?range=24h&limit=5'
curl 'http://127.0.0.1:3900/api/projects/shop/totals?range=7d&f=country:is:DE&format=csv'
curl -N 'http://127.0.0.1:3900/api/projects/shop/live'
\`\`\`

| question | answers | takes | costs |
|---|---|---|---|
${rows.join('\n')}

\`live\` is a stream of server-sent events: one \`snapshot\` (the last 60 minutes), then \`delta\`s with the absolute values of what changed, and \`lag\` twice a second when nothing does. Each carries \`behind_ms\`. Everyone who watches the same view shares one query a tick.

## Parameters

| parameter | takes |
|---|---|
| \`range\` | ${Object.keys(RANGES).join(', ')}, all; default 24h |
| \`from\`, \`to\` | ISO 8601 (in UTC unless it names a zone) or milliseconds since 1970, instead of \`range\`; \`from\` is in, \`to\` is out |
| \`zone\` | IANA time zone of days, hours and buckets; default UTC |
| \`interval\` | minute, quarter_hour, hour, day, week, month; default by the range |
| \`limit\` | rows of a ranking, 1 to 1,000; default 10 |
| \`bots\` | out (default), in, only |
| \`f\` | \`field:operator:value\`, repeated; operators is, is_not, contains; the same field and operator again means "any of" |

Fields to filter by: ${FILTER_FIELDS.map((field) => `\`${field}\``).join(', ')}.

Distinct visitors, visits and orders are counted, not estimated. Of visitors and visits the 64-bit hashes of their ids are counted, which is faster than the ids: that any two of ten million coincide has a chance of three in a million.
`;
}

/** File name below docs/ → its text. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'configuration.md': configuration,
  'errors.md': errors,
  'questions.md': questions,
};

if (import.meta.main) {
  for (const [name, print] of Object.entries(PAGES)) {
    writeFileSync(join(import.meta.dirname, name), print());
  }
}
