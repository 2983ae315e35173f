/** Upright bars from zero, in groups, each group labelled; values on hover and in the table. */
import { scaleLinear } from 'd3-scale';
import { useState } from 'react';
import { formatNumber, formatShort } from './format.ts';
import { tipPlace } from './LineChart.tsx';
import { useWidth } from './use-width.ts';

export interface Group {
  label: string;
  /** One value a series, in the order of `series`. */
  values: readonly number[];
}

const MARGIN = { top: 10, right: 4, bottom: 24, left: 44 };
const LABEL_CHAR_PX = 6.4;

export function BarChart({
  groups,
  series,
  unit,
  heightPx = 220,
}: {
  groups: readonly Group[];
  series: readonly string[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<number>();
  const legendPx = series.length > 1 ? 26 : 0;
  const plotHeight = heightPx - legendPx;
  const step = Math.max(0, width - MARGIN.left - MARGIN.right) / Math.max(1, groups.length);
  const longest = Math.max(...groups.map((group) => group.label.length));
  // Labels that do not fit side by side are turned, not dropped.
  const isTurned = longest * LABEL_CHAR_PX > step - 4;
  const bottom =
    plotHeight - (isTurned ? MARGIN.bottom + Math.min(60, longest * 4) : MARGIN.bottom);
  const y = scaleLinear(
    [0, Math.max(1, ...groups.flatMap((g) => g.values))],
    [bottom, MARGIN.top],
  ).nice(4);
  const barWidth = (step * 0.74) / series.length;
  const shown = at === undefined ? undefined : groups[at];
  return (
    <div ref={box} className="chart" style={{ height: heightPx }}>
      {series.length > 1 && <Legend names={series} />}
      {width > 0 && (
        <svg
          width={width}
          height={plotHeight}
          role="img"
          aria-label={summary(groups, series, unit)}
          onPointerLeave={() => setAt(undefined)}
        >
          {y.ticks(4).map((tick) => (
            <g key={tick} transform={`translate(0 ${y(tick)})`}>
              <line className="grid" x1={MARGIN.left} x2={width - MARGIN.right} />
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
                  y={MARGIN.top}
                  width={step}
                  height={bottom - MARGIN.top}
                />
                {group.values.map((value, s) => (
                  <rect
                    key={series[s]}
                    className={`bar s${s % 6}`}
                    x={left + step * 0.13 + s * barWidth}
                    width={Math.max(1, barWidth - 1)}
                    y={y(value)}
                    height={bottom - y(value)}
                    rx={2}
                  />
                ))}
                <text
                  className="axis"
                  textAnchor={isTurned ? 'end' : 'middle'}
                  transform={
                    isTurned
                      ? `translate(${middle + 3} ${bottom + 12}) rotate(-40)`
                      : `translate(${middle} ${bottom + 16})`
                  }
                >
                  {group.label}
                </text>
              </g>
            );
          })}
        </svg>
      )}
      {shown !== undefined && at !== undefined && (
        <div className="tip" style={tipPlace(MARGIN.left + (at + 0.5) * step, width)}>
          <span>{shown.label}</span>
          {shown.values.map((value, s) => (
            <b key={series[s]}>
              {formatNumber(value)} {series.length > 1 ? series[s] : unit}
            </b>
          ))}
        </div>
      )}
    </div>
  );
}

export function Legend({ names }: { names: readonly string[] }) {
  return (
    <ul className="legend">
      {names.map((name, i) => (
        <li key={name}>
          <i className={`dot s${i % 6}`} />
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
