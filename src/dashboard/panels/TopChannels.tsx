/** Top channels: the answer to `top_channels`. */
import { BarList, RANKING_PX } from '../ui/BarList.tsx';
import { formatNumber } from '../ui/format.ts';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopChannels() {
  return (
    <QuestionPanel
      question="top_channels"
      title="Top channels"
      how="A visit belongs to the first channel it came by."
      heightPx={RANKING_PX}
      columns={{ channel: 'Channel', visits: 'Visits', orders: 'Orders' }}
    >
      {(rows) => (
        <BarList
          head={['Channel', 'Visits']}
          entries={rows.map((row) => ({
            name: row.channel,
            value: row.visits,
            note: `${formatNumber(row.orders)} orders`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'channel', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
