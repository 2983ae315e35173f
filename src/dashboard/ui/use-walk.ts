/** Which mark of a chart is looked at: by pointer, or by arrow keys once the chart has the focus. */
import { type KeyboardEvent, useState } from 'react';

interface Walk {
  /** Undefined while none is looked at. */
  at: number | undefined;
  setAt: (at: number | undefined) => void;
  /** For the element that takes the focus. */
  keys: { tabIndex: 0; onKeyDown: (event: KeyboardEvent) => void; onBlur: () => void };
}

export function useWalk(count: number): Walk {
  const [at, setAt] = useState<number>();
  const onKeyDown = (event: KeyboardEvent): void => {
    const to: Record<string, number | undefined> = {
      ArrowLeft: (at ?? count) - 1,
      ArrowRight: (at ?? -1) + 1,
      Home: 0,
      End: count - 1,
      Escape: undefined,
    };
    if (!(event.key in to)) return;
    const next = to[event.key];
    // Escape closes what is open first: only then does it mean anything to the page.
    if (next !== undefined || at !== undefined) event.preventDefault();
    setAt(next === undefined ? undefined : Math.min(count - 1, Math.max(0, next)));
  };
  // The answer may have become shorter under the eyes.
  const isThere = at !== undefined && at < count;
  return {
    at: isThere ? at : undefined,
    setAt,
    keys: { tabIndex: 0, onKeyDown, onBlur: () => setAt(undefined) },
  };
}
