/** How old the numbers are, always in words, and the button that holds them still. */
import { useEffect, useState } from 'react';
import { type LiveData, STALE_MS } from '../use-live.ts';

const LOOK_MS = 500;

export function LiveState({
  live,
  onPause,
}: {
  live: Pick<LiveData, 'status' | 'behindMs' | 'heardAt'>;
  onPause: (paused: boolean) => void;
}) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const silentMs = live.heardAt === 0 ? 0 : Math.max(0, now - live.heardAt);
  const { kind, words } = describe(live.status, live.behindMs, silentMs);
  const isPaused = live.status === 'paused';
  return (
    <div className={`live-state ${kind}`}>
      <span className="pulse" aria-hidden="true" />
      <span role="status" aria-live="off" data-testid="live-state">
        {words}
      </span>
      <button type="button" aria-pressed={isPaused} onClick={() => onPause(!isPaused)}>
        {isPaused ? 'Resume' : 'Pause'}
      </button>
    </div>
  );
}

function describe(status: LiveData['status'], behindMs: number, silentMs: number) {
  const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
  if (status === 'paused') return { kind: 'paused', words: 'Paused' };
  if (status !== 'live') {
    const words = status === 'connecting' ? 'Connecting…' : 'Reconnecting…';
    return { kind: 'waiting', words: silentMs > 0 ? `${words} ${seconds(silentMs)} old` : words };
  }
  if (silentMs > STALE_MS) return { kind: 'waiting', words: `Stale ${seconds(silentMs)}` };
  return { kind: 'on', words: `Live · ${(behindMs / 1000).toFixed(1)} s behind` };
}
