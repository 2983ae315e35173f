/**
 * ClickHouse's errors, with its numbers: what the drivers read and people see.
 */

export class EngineError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** Any error as one of ClickHouse's; 1002 (unknown exception) when it has no number. */
export function toEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const found = /Code: (\d+)\. (?:DB::Exception: )?([\s\S]*)/.exec(text);
  if (found === null) return new EngineError(1002, text);
  return new EngineError(Number(found[1]), (found[2] ?? text).trimEnd());
}

export function httpStatus(code: number): number {
  if (code === 516 || code === 497) return 403;
  if (code === 60 || code === 81) return 404;
  if (code === 202) return 503;
  return 500;
}
