/** The last 60 minutes by what became of the records, with those that wait on top. */
import type { PipelineAnswer } from '../../process/pipeline/answer.ts';
import { formatMoment } from '../ui/format.ts';
import { Panel } from '../ui/Panel.tsx';
import { type Bar, StackChart } from '../ui/StackChart.tsx';
import { missingWords } from './SumLine.tsx';

const MINUTE_MS = 60_000;
const LAYERS = ['stored', 'duplicate', 'rejected', 'removed', 'waiting'] as const;
const COLORS = [0, 1, 2, 3, 5];
const HEIGHT_PX = 280;
/** Of the table, newest first. */
const ROWS_MAX = 50;

export function Minutes({ minutes }: { minutes: PipelineAnswer['minutes'] }) {
  const bars = minutes.map(
    (minute): Bar => ({
      time: minute.time,
      values: LAYERS.map((layer) => Math.max(0, minute[layer])),
      remark: minute.missing === 0 ? undefined : missingWords(minute.missing),
    }),
  );
  const rows = minutes
    .filter(({ accepted, missing }) => accepted !== 0 || missing !== 0)
    .map((minute) => ({ ...minute, time: formatMoment(minute.time, MINUTE_MS) }))
    .reverse()
    .slice(0, ROWS_MAX);
  return (
    <div className="cell wide minutes" data-testid="minutes">
      <Panel
        title="Last 60 minutes"
        how="Records by the minute they were received in, and what became of them. A mark stands over a minute that does not close."
        rows={rows}
        empty="Nothing was received in the last 60 minutes."
        error={null}
        onRetry={() => undefined}
        columns={COLUMNS}
        wide
        heightPx={HEIGHT_PX}
      >
        {() => (
          <StackChart
            bars={bars}
            layers={LAYERS}
            colors={COLORS}
            unit="records"
            heightPx={HEIGHT_PX}
          />
        )}
      </Panel>
    </div>
  );
}

const COLUMNS = {
  time: 'Minute',
  accepted: 'Accepted',
  stored: 'Stored',
  duplicate: 'Duplicate',
  rejected: 'Rejected',
  removed: 'Removed',
  waiting: 'Waiting',
  missing: 'Missing',
};
