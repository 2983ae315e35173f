/**
 * A line with a soft area below it, from zero. Pointer or arrow keys walk the points; the last
 * bucket is dashed because it is still filling.
 */
import { scaleLinear } from 'd3-scale';
import { type KeyboardEvent, type PointerEvent, useState } from 'react';
import { formatNumber, formatShort } from './format.ts';
import { useWidth } from './use-width.ts';

export interface Point {
  label: string;
  value: number;
}

const MARGIN = { top: 10, right: 8, bottom: 22, left: 44 };
const LABEL_PX = 104;

export function LineChart({
  points,
  unit,
  heightPx = 220,
}: {
  points: readonly Point[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<number>();
  const innerWidth = Math.max(0, width - MARGIN.left - MARGIN.right);
  const bottom = heightPx - MARGIN.bottom;
  const highest = Math.max(1, ...points.map((point) => point.value));
  const y = scaleLinear([0, highest], [bottom, MARGIN.top]).nice(4);
  const last = Math.max(1, points.length - 1);
  const x = (i: number): number => MARGIN.left + (i / last) * innerWidth;
  const path = (from: number, to: number): string =>
    points
      .slice(from, to)
      .map(
        (point, i) =>
          `${i === 0 ? 'M' : 'L'}${x(from + i).toFixed(1)} ${y(point.value).toFixed(1)}`,
      )
      .join('');
  const line = path(0, points.length - 1);
  const whole = path(0, points.length);
  const every = Math.max(
    1,
    Math.ceil(points.length / Math.max(2, Math.floor(innerWidth / LABEL_PX))),
  );
  const shown = at === undefined ? undefined : points[at];

  const move = (event: PointerEvent<SVGSVGElement>): void => {
    const left = event.clientX - event.currentTarget.getBoundingClientRect().left - MARGIN.left;
    setAt(Math.min(points.length - 1, Math.max(0, Math.round((left / innerWidth) * last))));
  };
  const walk = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setAt(Math.min(points.length - 1, Math.max(0, (at ?? points.length) + step)));
  };

  return (
    <div ref={box} className="chart" style={{ height: heightPx }}>
      {width > 0 && (
        <svg
          width={width}
          height={heightPx}
          role="img"
          aria-label={summary(points, unit)}
          onPointerMove={move}
          onPointerLeave={() => setAt(undefined)}
          onKeyDown={walk}
          onBlur={() => setAt(undefined)}
        >
          {y.ticks(4).map((tick) => (
            <g key={tick} transform={`translate(0 ${y(tick)})`}>
              <line className="grid" x1={MARGIN.left} x2={width - MARGIN.right} />
              <text className="axis" x={MARGIN.left - 8} dy="0.32em" textAnchor="end">
                {formatShort(tick)}
              </text>
            </g>
          ))}
          {points.map((point, i) =>
            i % every === 0 && x(i) < width - 40 ? (
              <text
                key={point.label}
                className="axis"
                x={x(i)}
                y={heightPx - 4}
                textAnchor="middle"
              >
                {point.label}
              </text>
            ) : null,
          )}
          <path className="area" d={`${whole}L${x(last)} ${bottom}L${MARGIN.left} ${bottom}Z`} />
          <path className="line" d={line} />
          <path className="line open" d={path(Math.max(0, points.length - 2), points.length)} />
          {shown !== undefined && at !== undefined && (
            <g className="mark" transform={`translate(${x(at)} 0)`}>
              <line y1={MARGIN.top} y2={bottom} />
              <circle cy={y(shown.value)} r={4} />
            </g>
          )}
        </svg>
      )}
      {shown !== undefined && at !== undefined && (
        <div className="tip" role="status" style={tipPlace(x(at), width)}>
          <b>
            {formatNumber(shown.value)} {unit}
          </b>
          <span>{shown.label}</span>
        </div>
      )}
    </div>
  );
}

/** Beside the mark, on the side that has room. */
export function tipPlace(x: number, width: number): { left?: number; right?: number; top: number } {
  return x < width / 2 ? { left: x + 12, top: 8 } : { right: width - x + 12, top: 8 };
}

function summary(points: readonly Point[], unit: string): string {
  const total = points.reduce((sum, point) => sum + point.value, 0);
  return `${formatNumber(total)} ${unit} in ${points.length} steps; arrow keys walk them`;
}
