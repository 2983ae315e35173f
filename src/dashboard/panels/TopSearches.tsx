/** Top searches: the answer to `top_searches`. */
import { BarList, RANKING_PX } from '../ui/BarList.tsx';
import { formatNumber } from '../ui/format.ts';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopSearches() {
  return (
    <QuestionPanel
      question="top_searches"
      title="Top searches"
      how="Events with search keywords, as they were typed."
      heightPx={RANKING_PX}
      columns={{ search_keywords: 'Keywords', searches: 'Searches', visitors: 'Visitors' }}
    >
      {(rows) => (
        <BarList
          head={['Keywords', 'Searches']}
          entries={rows.map((row) => ({
            name: row.search_keywords,
            value: row.searches,
            note: `${formatNumber(row.visitors)} visitors`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'search_keywords', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
