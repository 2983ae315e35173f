/** Top channels: the answer to `top_channels`. */
import { BarList } from '../ui/BarList.tsx';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopChannels() {
  return (
    <QuestionPanel
      question="top_channels"
      title="Top channels"
      how="A visit belongs to the first channel it came by."
      columns={{ channel: 'Channel', visits: 'Visits', orders: 'Orders' }}
    >
      {(rows) => (
        <BarList
          head={['Channel', 'Visits']}
          entries={rows.map((row) => ({
            name: row.channel,
            value: row.visits,
            note: `${row.orders} orders`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'channel', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
