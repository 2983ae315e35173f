/**
 * Upright bars from zero, in groups, each group labelled. Values stand above the bars where there
 * is room; pointer or arrow keys show them for every group.
 */
import { scaleLinear } from 'd3-scale';
import { formatNumber, formatShort } from './format.ts';
import { tipPlace } from './LineChart.tsx';
import { textWidth } from './text-width.ts';
import { useWalk } from './use-walk.ts';
import { useWidth } from './use-width.ts';

export interface Group {
  label: string;
  /** One value a series, in the order of `series`. */
  values: readonly number[];
  /** A remark for the tip. */
  note?: string;
}

const MARGIN = { top: 34, right: 4, bottom: 24, left: 56 };
const AXIS_FONT_PX = 11;
const TURNED_PX_MAX = 64;

export function BarChart({
  groups,
  series,
  unit,
  colors = series.map((_, i) => i),
  isSequence = false,
  heightPx = 260,
}: {
  groups: readonly Group[];
  series: readonly string[];
  unit: string;
  /** Colour of each series, where it has a meaning. */
  colors?: readonly number[];
  /** The labels count up, so that some may be left out where there is no room for all. */
  isSequence?: boolean;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const { at, setAt, keys } = useWalk(groups.length);
  const legendPx = series.length > 1 ? 26 : 0;
  const plotHeight = heightPx - legendPx;
  const step = Math.max(0, width - MARGIN.left - MARGIN.right) / Math.max(1, groups.length);
  const longest = Math.max(...groups.map((group) => textWidth(group.label, AXIS_FONT_PX)));
  // Labels that do not fit side by side are turned, not dropped.
  const isTurned = !isSequence && longest > step - 4;
  const every = isSequence ? Math.ceil((longest + 4) / Math.max(1, step)) : 1;
  const turnedPx = isTurned ? Math.min(TURNED_PX_MAX, longest * 0.66) : 0;
  const bottom = plotHeight - MARGIN.bottom - turnedPx;
  const values = groups.flatMap((group) => group.values);
  const y = scaleLinear([0, Math.max(4, ...values)], [bottom, MARGIN.top]).nice(4);
  const barWidth = (step * 0.74) / series.length;
  const isValueShown = values.every(
    (value) => textWidth(formatNumber(value), AXIS_FONT_PX) <= barWidth + 4,
  );
  const shown = at === undefined ? undefined : groups[at];
  return (
    <div ref={box} className="chart" style={{ height: heightPx }}>
      {series.length > 1 && <Legend names={series} colors={colors} />}
      {width > 0 && (
        <svg
          width={width}
          height={plotHeight}
          role="img"
          aria-label={summary(groups, series, unit)}
          onPointerLeave={() => setAt(undefined)}
          {...keys}
        >
          <text className="axis" x={0} y={10}>
            {unit}
          </text>
          {y.ticks(4).map((tick) => (
            <g key={tick} transform={`translate(0 ${y(tick)})`}>
              <line className="rule" x1={MARGIN.left} x2={width - MARGIN.right} />
              <text className="axis" x={MARGIN.left - 8} dy="0.32em" textAnchor="end">
                {formatShort(tick)}
              </text>
            </g>
          ))}
          {groups.map((group, i) => {
            const left = MARGIN.left + i * step;
            const middle = left + step / 2;
            return (
              <g key={group.label} onPointerEnter={() => setAt(i)}>
                <rect
                  className={at === i ? 'hit on' : 'hit'}
                  x={left}
                  y={MARGIN.top - 16}
                  width={step}
                  height={bottom - MARGIN.top + 16}
                />
                {group.values.map((value, s) => {
                  const barLeft = left + step * 0.13 + s * barWidth;
                  return (
                    <g key={series[s]}>
                      <rect
                        className={`bar s${(colors[s] ?? s) % 6}`}
                        x={barLeft}
                        width={Math.max(1, barWidth - 2)}
                        y={y(value)}
                        height={bottom - y(value)}
                        rx={2}
                      />
                      {isValueShown && (
                        <text
                          className="axis"
                          x={barLeft + barWidth / 2 - 1}
                          y={y(value) - 5}
                          textAnchor="middle"
                        >
                          {formatNumber(value)}
                        </text>
                      )}
                    </g>
                  );
                })}
                <text
                  className="axis"
                  textAnchor={isTurned ? 'end' : 'middle'}
                  transform={
                    isTurned
                      ? `translate(${middle + 3} ${bottom + 12}) rotate(-40)`
                      : `translate(${middle} ${bottom + 17})`
                  }
                >
                  {i % every === 0 && group.label}
                </text>
              </g>
            );
          })}
        </svg>
      )}
      {shown !== undefined && at !== undefined && (
        <div className="tip" role="status" style={tipPlace(MARGIN.left + (at + 0.5) * step, width)}>
          <span>{shown.label}</span>
          {shown.values.map((value, s) => (
            <b key={series[s]}>
              {formatNumber(value)} {series.length > 1 ? series[s] : unit}
            </b>
          ))}
          {shown.note !== undefined && <span>{shown.note}</span>}
        </div>
      )}
    </div>
  );
}

export function Legend({
  names,
  colors,
}: {
  names: readonly string[];
  colors?: readonly number[];
}) {
  return (
    <ul className="legend">
      {names.map((name, i) => (
        <li key={name}>
          <i className={`dot s${(colors?.[i] ?? i) % 6}`} />
          {name}
        </li>
      ))}
    </ul>
  );
}

function summary(groups: readonly Group[], series: readonly string[], unit: string): string {
  const parts = groups.map((group) => {
    const values = group.values.map(
      (value, s) => `${formatNumber(value)}${series.length > 1 ? ` ${series[s]}` : ''}`,
    );
    return `${group.label}: ${values.join(', ')}`;
  });
  return `${unit} by group. ${parts.join('; ')}`;
}
