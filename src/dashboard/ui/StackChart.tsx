/**
 * Bars of time, each in layers that add up. Pointer or arrow keys show the numbers of a bar; one
 * that needs a look has a mark above it.
 */
import { scaleLinear } from 'd3-scale';
import { Legend } from './BarChart.tsx';
import { bucketWords, formatMoment, formatNumber, formatShort, formatTick } from './format.ts';
import { tipPlace } from './LineChart.tsx';
import { useWalk } from './use-walk.ts';
import { useWidth } from './use-width.ts';

export interface Bar {
  /** Start of the bucket, milliseconds since 1970. */
  time: number;
  /** From the bottom up, in the order of `layers`. */
  values: readonly number[];
  /** Why this bar needs a look. */
  remark?: string | undefined;
}

const MARGIN = { top: 34, right: 4, bottom: 24, left: 56 };
const LEGEND_PX = 26;
const LABEL_PX = 76;

export function StackChart({
  bars,
  layers,
  colors,
  unit,
  heightPx = 260,
}: {
  bars: readonly Bar[];
  layers: readonly string[];
  /** Colour of each layer. */
  colors: readonly number[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const { at, setAt, keys } = useWalk(bars.length);
  const plotHeight = heightPx - LEGEND_PX;
  const bottom = plotHeight - MARGIN.bottom;
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const y = scaleLinear([0, Math.max(4, ...sums)], [bottom, MARGIN.top]).nice(4);
  const step = Math.max(0, width - MARGIN.left - MARGIN.right) / Math.max(1, bars.length);
  const every = Math.max(1, Math.ceil(LABEL_PX / Math.max(1, step) / 5) * 5);
  const spanMs = (bars.at(-1)?.time ?? 0) - (bars[0]?.time ?? 0);
  const bucketMs = spanMs / Math.max(1, bars.length - 1);
  const shown = at === undefined ? undefined : bars[at];
  const title = `${unit} per ${bucketWords(bucketMs)}`;
  return (
    <div ref={box} className="chart">
      <Legend names={layers} colors={colors} />
      {width > 0 && (
        <svg
          width={width}
          height={plotHeight}
          role="img"
          aria-label={`${title}, ${bars.length} steps, ${formatNumber(sums.reduce((a, b) => a + b, 0))} in all; arrow keys walk them`}
          onPointerLeave={() => setAt(undefined)}
          {...keys}
        >
          <text className="axis" x={0} y={10}>
            {title}
          </text>
          {y.ticks(4).map((tick) => (
            <g key={tick} transform={`translate(0 ${y(tick)})`}>
              <line className="rule" x1={MARGIN.left} x2={width - MARGIN.right} />
              <text className="axis" x={MARGIN.left - 8} dy="0.32em" textAnchor="end">
                {formatShort(tick)}
              </text>
            </g>
          ))}
          {bars.map((bar, i) => (
            <g
              key={bar.time}
              transform={`translate(${MARGIN.left + i * step} 0)`}
              onPointerEnter={() => setAt(i)}
            >
              <rect
                className={at === i ? 'hit on' : 'hit'}
                y={MARGIN.top - 16}
                width={step}
                height={bottom - MARGIN.top + 16}
              />
              <Layers bar={bar} names={layers} colors={colors} y={y} step={step} />
              {bar.remark !== undefined && (
                <text className="remark" x={step / 2} y={y(sums[i] ?? 0) - 5} textAnchor="middle">
                  !
                </text>
              )}
              {Math.round(bar.time / bucketMs) % every === 0 && (
                <text
                  className="axis"
                  x={step / 2}
                  y={bottom + 17}
                  textAnchor={i >= bars.length - 2 ? 'end' : 'middle'}
                >
                  {formatTick(new Date(bar.time), spanMs)}
                </text>
              )}
            </g>
          ))}
        </svg>
      )}
      {shown !== undefined && at !== undefined && (
        <div className="tip" role="status" style={tipPlace(MARGIN.left + (at + 0.5) * step, width)}>
          <span>{formatMoment(shown.time, bucketMs)}</span>
          {shown.values.map((value, layer) =>
            value === 0 ? null : (
              <b key={layers[layer]}>
                {formatNumber(value)} {layers[layer]}
              </b>
            ),
          )}
          {sums[at] === 0 && <span>nothing</span>}
          {shown.remark !== undefined && <b className="remark">{shown.remark}</b>}
        </div>
      )}
    </div>
  );
}

function Layers({
  bar,
  names,
  colors,
  y,
  step,
}: {
  bar: Bar;
  names: readonly string[];
  colors: readonly number[];
  y: (value: number) => number;
  step: number;
}) {
  let below = 0;
  return bar.values.map((value, layer) => {
    const from = below;
    below += value;
    if (value === 0) return null;
    // However few they are, they can be seen.
    const height = Math.max(1.5, y(from) - y(below));
    return (
      <rect
        key={names[layer]}
        className={`bar s${colors[layer] ?? layer}`}
        x={step * 0.12}
        y={y(from) - height}
        width={Math.max(1, step * 0.76)}
        height={height}
      />
    );
  });
}
