/** Shares of a whole: a ring with the largest share in its middle, and every share in words. */
import { formatNumber, formatPercent } from './format.ts';

export interface Share {
  name: string;
  value: number;
}

const RADIUS = 70;
const WIDTH = 22;
const LENGTH = 2 * Math.PI * RADIUS;

export function Donut({
  shares,
  unit,
  colors,
}: {
  shares: readonly Share[];
  unit: string;
  /** Colour of each share, where it has a meaning. */
  colors?: readonly number[];
}) {
  const total = shares.reduce((sum, share) => sum + share.value, 0);
  const color = (i: number): string => `s${(colors?.[i] ?? i) % 6}`;
  let start = 0;
  const arcs = shares.map((share) => {
    const part = total === 0 ? 0 : share.value / total;
    const arc = { ...share, part, start };
    start += part;
    return arc;
  });
  const first = arcs[0];
  const words = arcs.map((arc) => `${arc.name} ${formatPercent(arc.part)}`).join(', ');
  return (
    <div className="donut">
      <svg viewBox="0 0 180 180" role="img" aria-label={`${unit}: ${words}`}>
        <g transform="rotate(-90 90 90)">
          {arcs.map((arc, i) => (
            <circle
              key={arc.name}
              className={`arc ${color(i)}`}
              cx={90}
              cy={90}
              r={RADIUS}
              strokeWidth={WIDTH}
              strokeDasharray={`${Math.max(0, arc.part * LENGTH - (arcs.length > 1 ? 2 : 0))} ${LENGTH}`}
              strokeDashoffset={-arc.start * LENGTH}
            />
          ))}
        </g>
        <text className="donut-share" x={90} y={93} textAnchor="middle">
          {formatPercent(first?.part ?? 0)}
        </text>
        <text className="axis" x={90} y={112} textAnchor="middle">
          {first?.name}
        </text>
      </svg>
      <table className="shares">
        <thead>
          <tr>
            <td />
            <th scope="col">{unit}</th>
            <th scope="col">Share</th>
          </tr>
        </thead>
        <tbody>
          {arcs.map((arc, i) => (
            <tr key={arc.name}>
              <th scope="row">
                <i className={`dot ${color(i)}`} />
                {arc.name}
              </th>
              <td className="number">{formatNumber(arc.value)}</td>
              <td className="number">{formatPercent(arc.part)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
