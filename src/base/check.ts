/**
 * Broken invariants crash loudly: after one, nothing this process would write can be trusted.
 */

/** @throws Error when `condition` does not hold. For what must be true, never for bad input. */
export function check(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${invariant}`);
}
