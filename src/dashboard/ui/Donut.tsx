/** Shares of a whole: a ring with the largest share in its middle, and every share in words. */
import { formatNumber, formatPercent } from './format.ts';

export interface Share {
  name: string;
  value: number;
}

const RADIUS = 70;
const WIDTH = 22;
const LENGTH = 2 * Math.PI * RADIUS;

export function Donut({ shares, unit }: { shares: readonly Share[]; unit: string }) {
  const total = shares.reduce((sum, share) => sum + share.value, 0);
  const first = shares[0];
  let start = 0;
  const arcs = shares.map((share) => {
    const part = share.value / total;
    const arc = { ...share, part, start };
    start += part;
    return arc;
  });
  const words = arcs.map((arc) => `${arc.name} ${formatPercent(arc.part)}`).join(', ');
  return (
    <div className="donut">
      <svg viewBox="0 0 180 180" role="img" aria-label={`${unit}: ${words}`}>
        <g transform="rotate(-90 90 90)">
          {arcs.map((arc, i) => (
            <circle
              key={arc.name}
              className={`arc s${i % 6}`}
              cx={90}
              cy={90}
              r={RADIUS}
              strokeWidth={WIDTH}
              strokeDasharray={`${Math.max(0, arc.part * LENGTH - 2)} ${LENGTH}`}
              strokeDashoffset={-arc.start * LENGTH}
            />
          ))}
        </g>
        <text className="donut-share" x={90} y={90} textAnchor="middle">
          {formatPercent((first?.value ?? 0) / total)}
        </text>
        <text className="axis" x={90} y={110} textAnchor="middle">
          {first?.name}
        </text>
      </svg>
      <table className="shares">
        <tbody>
          {arcs.map((arc, i) => (
            <tr key={arc.name}>
              <th scope="row">
                <i className={`dot s${i % 6}`} />
                {arc.name}
              </th>
              <td className="number">{formatNumber(arc.value)}</td>
              <td className="number muted">{formatPercent(arc.part)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
