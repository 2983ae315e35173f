/**
 * Areas by size, in squarish tiles (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000): a colour
 * a category, a tile a sub-category. What is too small for its label has it in the tip and table.
 */
import { Legend } from './BarChart.tsx';
import { formatNumber, formatPercent } from './format.ts';
import { tipPlace } from './LineChart.tsx';
import { textWidth } from './text-width.ts';
import { useWalk } from './use-walk.ts';
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

const LABEL_FONT_PX = 12;
const LABEL_PAD_PX = 16;
/** Tiles lower than this have no room for a second line, or for any. */
const TWO_LINES_PX = 40;
const ONE_LINE_PX = 24;

export function Treemap({
  leaves,
  unit,
  heightPx = 250,
}: {
  leaves: readonly Leaf[];
  unit: string;
  heightPx?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const byCategory = [...Map.groupBy(leaves, (leaf) => leaf.category)]
    .map(([name, inside]) => ({
      name,
      inside: inside.toSorted((a, b) => b.value - a.value),
      value: sum(inside),
    }))
    .sort((a, b) => b.value - a.value);
  const plot = { x: 0, y: 0, width, height: heightPx };
  const tiles = squarify(byCategory, plot).flatMap((category, i) =>
    squarify(category.inside, category).map((leaf) => ({ ...leaf, color: i })),
  );
  const { at, setAt, keys } = useWalk(tiles.length);
  const shown = at === undefined ? undefined : tiles[at];
  const total = sum(leaves);
  const words = byCategory.map(({ name, value }) => `${name} ${formatNumber(value)}`);
  return (
    <div ref={box} className="chart">
      <Legend names={words} />
      <div className="chart" style={{ height: heightPx }}>
        {width > 0 && (
          <svg
            width={width}
            height={heightPx}
            role="img"
            aria-label={`${unit}: ${words.join(', ')}; arrow keys walk the sub-categories`}
            onPointerLeave={() => setAt(undefined)}
            {...keys}
          >
            {tiles.map((tile, i) => (
              <g
                key={`${tile.category} ${tile.name}`}
                transform={`translate(${tile.x} ${tile.y})`}
                onPointerEnter={() => setAt(i)}
              >
                <rect
                  className={`tile s${tile.color % 6} ${at === i ? 'on' : ''}`}
                  width={Math.max(0, tile.width - 2)}
                  height={Math.max(0, tile.height - 2)}
                  rx={3}
                />
                <Label tile={tile} />
              </g>
            ))}
          </svg>
        )}
        {shown !== undefined && (
          <div
            className="tip"
            role="status"
            style={{ ...tipPlace(shown.x + shown.width / 2, width), top: Math.max(0, shown.y - 8) }}
          >
            <b>
              {formatNumber(shown.value)} {unit}, {formatPercent(shown.value / total)}
            </b>
            <span>
              {shown.category}: {shown.name}
            </span>
          </div>
        )}
      </div>
    </div>
  );
}

/** The name and, below it, the number; along the tile's longer side; nothing where it does not fit. */
function Label({ tile }: { tile: Leaf & Box }) {
  const long = textWidth(tile.name, LABEL_FONT_PX, 600) + LABEL_PAD_PX;
  const isUpright = tile.width < long;
  const [along, across] = isUpright ? [tile.height, tile.width] : [tile.width, tile.height];
  if (along < long || across < ONE_LINE_PX) return null;
  return (
    <text
      className="tile-label"
      transform={isUpright ? `translate(16 ${tile.height - 10}) rotate(-90)` : 'translate(8 18)'}
    >
      {tile.name}
      {across >= TWO_LINES_PX && (
        <tspan className="tile-number" x={0} dy={16}>
          {formatNumber(tile.value)}
        </tspan>
      )}
    </text>
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
