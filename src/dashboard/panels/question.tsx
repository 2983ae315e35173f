/** What every panel does: ask its question once it is near the window, and frame the answer. */
import { type ReactNode, useRef } from 'react';
import type { Question, Rows } from '../../query/questions.ts';
import { Panel, type PanelProps } from '../ui/Panel.tsx';
import { useIsSeen } from '../ui/use-width.ts';
import { type Asked, useAddress, useQuestion } from '../use-question.ts';

type Frame<Q extends Question> = Pick<
  PanelProps<Rows[Q]>,
  'title' | 'how' | 'columns' | 'wide' | 'heightPx'
> & {
  question: Q;
  isEmpty?: (rows: readonly Rows[Q][]) => boolean;
  children: (rows: readonly Rows[Q][]) => ReactNode;
};

export function QuestionPanel<Q extends Question>({ question, isEmpty, ...frame }: Frame<Q>) {
  const [ref, isSeen] = useIsSeen<HTMLDivElement>();
  const asked = useQuestion(question, isSeen);
  const address = useAddress(question);
  const rows = asked.data?.rows;
  const error = useLastError(asked);
  return (
    <div ref={ref} className={frame.wide ? 'cell wide' : 'cell'} data-question={question}>
      <Panel<Rows[Q]>
        {...frame}
        rows={rows}
        isEmpty={rows !== undefined && (isEmpty?.(rows) ?? rows.length === 0)}
        isOld={asked.isPlaceholderData}
        error={error}
        onRetry={() => asked.refetch()}
        csv={address}
      />
    </div>
  );
}

/** A query without data forgets its error when it tries again; shown like that it would flicker. */
function useLastError<Q extends Question>({ error, isSuccess }: Asked<Q>): Error | null {
  const last = useRef<Error | null>(null);
  if (error !== null) last.current = error;
  else if (isSuccess) last.current = null;
  return last.current;
}
