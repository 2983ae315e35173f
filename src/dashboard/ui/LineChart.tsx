/**
 * A line with a soft area below it, from zero. Pointer or arrow keys walk the points; the last
 * bucket is dashed because it is still filling.
 */
import { scaleLinear, scaleTime } from 'd3-scale';
import type { PointerEvent } from 'react';
import { bucketWords, formatMoment, formatNumber, formatShort, formatTick } from './format.ts';
import { useWalk } from './use-walk.ts';
import { useWidth } from './use-width.ts';

export interface Point {
  /** Start of the bucket, milliseconds since 1970. */
  time: number;
  value: number;
}

const MARGIN = { top: 24, right: 10, bottom: 24, left: 56 };
const LABEL_PX = 92;

export function LineChart({
  points,
  unit,
  heightPx = 240,
}: {
  points: readonly Point[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const { at, setAt, keys } = useWalk(points.length);
  const bottom = heightPx - MARGIN.bottom;
  const y = scaleLinear(
    [0, Math.max(4, ...points.map((point) => point.value))],
    [bottom, MARGIN.top],
  ).nice(4);
  const firstMs = points[0]?.time ?? 0;
  const lastMs = points.at(-1)?.time ?? 0;
  const spanMs = lastMs - firstMs;
  const bucketMs = spanMs / Math.max(1, points.length - 1);
  const right = Math.max(MARGIN.left, width - MARGIN.right);
  const x = scaleTime([firstMs, lastMs], [MARGIN.left, right]);
  const path = (from: number): string =>
    points
      .slice(from)
      .map(
        ({ time, value }, i) =>
          `${i === 0 ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`,
      )
      .join('');
  const whole = path(0);
  const closed = whole.slice(0, whole.lastIndexOf('L'));
  const shown = at === undefined ? undefined : points[at];
  const axisTitle = `${unit} per ${bucketWords(bucketMs)}`;

  const move = (event: PointerEvent<SVGSVGElement>): void => {
    const left = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const part = (left - MARGIN.left) / Math.max(1, right - MARGIN.left);
    setAt(Math.min(points.length - 1, Math.max(0, Math.round(part * (points.length - 1)))));
  };

  return (
    <div ref={box} className="chart" style={{ height: heightPx }}>
      {width > 0 && (
        <svg
          width={width}
          height={heightPx}
          role="img"
          aria-label={summary(points, axisTitle)}
          onPointerMove={move}
          onPointerLeave={() => setAt(undefined)}
          {...keys}
        >
          <text className="axis" x={0} y={10}>
            {axisTitle}
          </text>
          {y.ticks(4).map((tick) => (
            <g key={tick} transform={`translate(0 ${y(tick)})`}>
              <line className="rule" x1={MARGIN.left} x2={right} />
              <text className="axis" x={MARGIN.left - 8} dy="0.32em" textAnchor="end">
                {formatShort(tick)}
              </text>
            </g>
          ))}
          {x.ticks(Math.max(2, Math.floor((right - MARGIN.left) / LABEL_PX))).map((tick) =>
            x(tick) < width - 24 ? (
              <text
                key={Number(tick)}
                className="axis"
                x={x(tick)}
                y={heightPx - 5}
                textAnchor="middle"
              >
                {formatTick(tick, spanMs)}
              </text>
            ) : null,
          )}
          <path className="area" d={`${whole}L${right} ${bottom}L${MARGIN.left} ${bottom}Z`} />
          <path className="line" d={closed} />
          <path className="line open" d={path(Math.max(0, points.length - 2))} />
          {shown !== undefined && (
            <g className="mark" transform={`translate(${x(shown.time)} 0)`}>
              <line y1={MARGIN.top} y2={bottom} />
              <circle cy={y(shown.value)} r={4} />
            </g>
          )}
        </svg>
      )}
      {shown !== undefined && at !== undefined && (
        <div className="tip" role="status" style={tipPlace(x(shown.time), width)}>
          <b>
            {formatNumber(shown.value)} {unit}
          </b>
          <span>{formatMoment(shown.time, bucketMs)}</span>
          {at === points.length - 1 && <span>still filling</span>}
        </div>
      )}
    </div>
  );
}

/** Beside the mark, on the side that has room. */
export function tipPlace(x: number, width: number): { left?: number; right?: number; top: number } {
  return x < width / 2 ? { left: x + 12, top: 22 } : { right: width - x + 12, top: 22 };
}

function summary(points: readonly Point[], axisTitle: string): string {
  const values = points.map((point) => point.value);
  const lowest = formatNumber(Math.min(...values));
  const highest = formatNumber(Math.max(...values));
  return `${axisTitle}, ${points.length} steps from ${lowest} to ${highest}; arrow keys walk them`;
}
