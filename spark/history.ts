/** Two times from the command line, between which the job works through history. */
import { ProgramError } from '../local/error.ts';

/** Without a zone a time is in UTC, as everywhere here: never in that of the machine. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

/** `from` is in, `to` is out, in ms since 1970. @throws ProgramError that says which is wrong. */
export function readHistory(from: string, to: string): { fromMs: number; toMs: number } {
  const [fromMs, toMs] = [readTime(from), readTime(to)];
  if (fromMs >= toMs)
    throw new ProgramError(`--history is from ${from} to ${to}; the second time must be later.`);
  return { fromMs, toMs };
}

function readTime(text: string): number {
  const [, day = '', time = '00:00', zone = 'Z'] = TIME.exec(text) ?? [];
  const ms = Date.parse(`${day}T${time}${zone}`);
  // A 31st of February would be a day in March.
  const isDay = new Date(Date.parse(`${day}T00:00Z`) || 0).toISOString().startsWith(day);
  if (Number.isNaN(ms) || !isDay)
    throw new ProgramError(
      `--history names the time "${text}"; it takes two like 2026-01-31 or 2026-01-31T12:00Z.`,
    );
  return ms;
}
