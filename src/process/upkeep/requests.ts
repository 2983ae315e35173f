/**
 * Requests for an audit or an erasure as JSON: read strictly, because what is not understood must
 * not be left out of a request that changes what is stored.
 */
import { AppError } from '../../base/errors.ts';
import type { TimeRange } from './audit.ts';
import { SELECTORS, type Selection, type Selector } from './removals.ts';

export interface AuditRequest extends TimeRange {
  heal: boolean;
}

export interface EraseRequest {
  selection: Selection;
  dryRun: boolean;
}

/** `{from?, to?, heal?}`. @throws AppError `bad_request`. */
export function readAuditRequest(body: unknown): AuditRequest {
  const { from, to, heal } = readFields(body, ['from', 'to', 'heal']);
  const range = { fromMs: readTime(from, 'from'), toMs: readTime(to, 'to') };
  if (range.fromMs !== undefined && range.toMs !== undefined && range.fromMs > range.toMs)
    throw wrong('from', 'it lies after "to"');
  return { ...range, heal: readFlag(heal, 'heal') };
}

/** `{project, dry_run?}` and one of the selectors. @throws AppError `bad_request`. */
export function readEraseRequest(body: unknown): EraseRequest {
  const names = Object.keys(SELECTORS) as Selector[];
  const fields = readFields(body, ['project', 'dry_run', ...names]);
  const given = names.filter((name) => fields[name] !== undefined);
  const [by] = given;
  if (by === undefined || given.length > 1)
    throw new AppError('bad_request', `One of ${names.join(', ')} says what is erased.`);
  const selection = {
    project: readText(fields.project, 'project'),
    by,
    value: readText(fields[by], by),
  };
  return { selection, dryRun: readFlag(fields.dry_run, 'dry_run') };
}

function readFields(body: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new AppError('bad_request', 'The body is not a JSON object.');
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown !== undefined) throw wrong(unknown, `it is not one of ${names.join(', ')}`);
  return { ...body };
}

function readText(value: unknown, field: string): string {
  if (value === undefined) throw new AppError('bad_request', `"${field}" is needed.`, { field });
  if (typeof value !== 'string' || value === '') throw wrong(field, 'it takes a text');
  return value;
}

function readFlag(value: unknown, field: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(field, 'it is true or false');
  return value ?? false;
}

/** ISO 8601, in UTC unless it names a zone, or milliseconds since 1970. */
function readTime(value: unknown, field: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const text = String(value);
  const hasZone = /Z$|[+-]\d\d:?\d\d$|^[^T ]*$/.test(text);
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(hasZone ? text : `${text}Z`);
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15)
    throw wrong(field, 'it takes ISO 8601, or milliseconds since 1970');
  return ms;
}

function wrong(field: string, why: string): AppError {
  return new AppError('bad_request', `"${field}" cannot be taken: ${why}.`, { field });
}
