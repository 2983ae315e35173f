/**
 * Areas by size, in squarish tiles (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000): a colour
 * a category, a tile a sub-category. What is too small for its label has it in the tip and table.
 */
import { useState } from 'react';
import { Legend } from './BarChart.tsx';
import { formatNumber } from './format.ts';
import { tipPlace } from './LineChart.tsx';
import { useWidth } from './use-width.ts';

export interface Leaf {
  category: string;
  name: string;
  value: number;
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const LEGEND_PX = 30;
const CHAR_PX = 6.9;

export function Treemap({
  leaves,
  unit,
  heightPx = 260,
}: {
  leaves: readonly Leaf[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [shown, setShown] = useState<Leaf & Box>();
  const byCategory = [...Map.groupBy(leaves, (leaf) => leaf.category)]
    .map(([name, inside]) => ({
      name,
      inside: inside.toSorted((a, b) => b.value - a.value),
      value: sum(inside),
    }))
    .sort((a, b) => b.value - a.value);
  const plot = { x: 0, y: 0, width, height: heightPx - LEGEND_PX };
  const tiles = squarify(byCategory, plot).flatMap((category, i) =>
    squarify(category.inside, category).map((leaf) => ({ ...leaf, color: i })),
  );
  const words = byCategory.map(({ name, value }) => `${name} ${formatNumber(value)}`).join(', ');
  return (
    <div ref={box} className="chart" style={{ height: heightPx }}>
      <Legend names={byCategory.map(({ name, value }) => `${name} ${formatNumber(value)}`)} />
      {width > 0 && (
        <svg
          width={width}
          height={plot.height}
          role="img"
          aria-label={`${unit}: ${words}`}
          onPointerLeave={() => setShown(undefined)}
        >
          {tiles.map((tile) => (
            <g
              key={`${tile.category} ${tile.name}`}
              transform={`translate(${tile.x} ${tile.y})`}
              onPointerEnter={() => setShown(tile)}
            >
              <rect
                className={`tile s${tile.color % 6}`}
                width={Math.max(0, tile.width - 2)}
                height={Math.max(0, tile.height - 2)}
                rx={3}
              />
              {tile.height > 38 && tile.width > tile.name.length * CHAR_PX + 14 && (
                <text className="tile-label" x={8} y={18}>
                  {tile.name}
                  <tspan x={8} dy={15}>
                    {formatNumber(tile.value)}
                  </tspan>
                </text>
              )}
            </g>
          ))}
        </svg>
      )}
      {shown !== undefined && (
        <div
          className="tip"
          style={{ ...tipPlace(shown.x + shown.width / 2, width), top: shown.y + LEGEND_PX }}
        >
          <b>
            {formatNumber(shown.value)} {unit}
          </b>
          <span>
            {shown.category}: {shown.name}
          </span>
        </div>
      )}
    </div>
  );
}

function sum(items: readonly { value: number }[]): number {
  return items.reduce((total, item) => total + item.value, 0);
}

/** Lays `items`, largest first, into `area`: rows along the shorter side while that squares them. */
function squarify<T extends { value: number }>(items: readonly T[], area: Box): (T & Box)[] {
  const total = sum(items);
  const placed: (T & Box)[] = [];
  if (total === 0) return placed;
  const scale = (area.width * area.height) / total;
  let { x, y, width, height } = area;
  let rest = [...items];
  while (rest.length > 0) {
    const side = Math.min(width, height);
    let count = 1;
    while (
      count < rest.length &&
      worst(rest.slice(0, count + 1), side, scale) <= worst(rest.slice(0, count), side, scale)
    )
      count++;
    const row = rest.slice(0, count);
    const thick = side === 0 ? 0 : (sum(row) * scale) / side;
    let along = 0;
    for (const item of row) {
      const long = thick === 0 ? 0 : (item.value * scale) / thick;
      if (width >= height) placed.push({ ...item, x, y: y + along, width: thick, height: long });
      else placed.push({ ...item, x: x + along, y, width: long, height: thick });
      along += long;
    }
    if (width >= height) {
      x += thick;
      width -= thick;
    } else {
      y += thick;
      height -= thick;
    }
    rest = rest.slice(count);
  }
  return placed;
}

/** The worst ratio of sides in a row. */
function worst(row: readonly { value: number }[], side: number, scale: number): number {
  const area = sum(row) * scale;
  const sizes = row.map((item) => item.value * scale);
  const square = side * side;
  return Math.max(
    (square * Math.max(...sizes)) / (area * area),
    (area * area) / (square * Math.min(...sizes)),
  );
}
