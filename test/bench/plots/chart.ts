const WIDTH = 640;
const HEIGHT = 380;
const LEFT = 78;
const RIGHT = 28;
const TOP = 66;
const BOTTOM = 52;

/** Both have a contrast of at least 3 to white and to black. */
const COLOURS = ['#1f7fd6', '#c2571a'] as const;

export interface ChartPoint {
  readonly x: number;
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly [Series, Series];
}

/**
 * Draws two lines over logarithmic axes, with the quartiles of each point, as self-contained SVG. It has no background
 * of its own; text and axes follow the page's colour scheme.
 */
export function drawChart({ title, x, y, series }: Chart): string {
  const points = series.flatMap((one) => one.points);
  const xs = logarithmic(
    points.map((point) => point.x),
    LEFT,
    WIDTH - RIGHT,
  );
  const ys = logarithmic(
    points.flatMap(({ median, q1, q3 }) => [median, q1, q3]),
    HEIGHT - BOTTOM,
    TOP,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escape(title)}</title>`,
    '<style>text{fill:#333}.axis{stroke:#777}.grid{stroke:#777;stroke-opacity:.3}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>',
    text(LEFT, 22, title, 'font-size="15" font-weight="bold"'),
    text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 10, x, 'text-anchor="middle"'),
    text(16, TOP - 10, y),
    ...ys.ticks.flatMap((value) => [
      line([LEFT, ys.at(value)], [WIDTH - RIGHT, ys.at(value)], 'class="grid"'),
      text(LEFT - 6, ys.at(value) + 4, label(value), 'text-anchor="end"'),
    ]),
    ...xs.ticks.flatMap((value) => [
      line([xs.at(value), TOP], [xs.at(value), HEIGHT - BOTTOM], 'class="grid"'),
      text(xs.at(value), HEIGHT - BOTTOM + 18, label(value), 'text-anchor="middle"'),
    ]),
    line([LEFT, HEIGHT - BOTTOM], [WIDTH - RIGHT, HEIGHT - BOTTOM], 'class="axis"'),
    line([LEFT, TOP], [LEFT, HEIGHT - BOTTOM], 'class="axis"'),
    ...series.flatMap(({ name, points: own }, index) => {
      const colour = COLOURS[index === 0 ? 0 : 1];
      // Distinguishes the lines by more than colour.
      const dash = index === 0 ? '' : ' stroke-dasharray="6 4"';
      const places = own.map((point) => `${round(xs.at(point.x))},${round(ys.at(point.median))}`);
      const legendX = LEFT + index * 250;
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash} points="${places.join(' ')}"/>`,
        ...own.flatMap((point) => {
          const place = xs.at(point.x) + (index === 0 ? -2 : 2);
          return [
            line(
              [place, ys.at(point.q1)],
              [place, ys.at(point.q3)],
              `stroke="${colour}" stroke-width="2" stroke-opacity=".5"`,
            ),
            `<circle cx="${round(xs.at(point.x))}" cy="${round(ys.at(point.median))}" r="3.5" fill="${colour}"/>`,
          ];
        }),
        line([legendX, 40], [legendX + 28, 40], `stroke="${colour}" stroke-width="2"${dash}`),
        text(legendX + 34, 44, name),
      ];
    }),
    '</svg>',
    '',
  ];
  return parts.join('\n');
}

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** A logarithmic scale from the power of ten below the least value to the one above the greatest. */
function logarithmic(values: readonly number[], from: number, to: number): Scale {
  const logs = values.map((value) => Math.log10(value));
  const least = Math.floor(Math.min(...logs));
  const greatest = Math.max(Math.ceil(Math.max(...logs)), least + 1);
  return {
    ticks: Array.from({ length: greatest - least + 1 }, (_, index) => 10 ** (least + index)),
    at: (value) => from + ((Math.log10(value) - least) / (greatest - least)) * (to - from),
  };
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`;
}

function line([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number], attributes: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${attributes}/>`;
}

function label(value: number): string {
  return value < 1 ? String(value) : value.toLocaleString('en');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
