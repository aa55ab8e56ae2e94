import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Point } from '../measurement.ts';
import type { Report } from '../report.ts';
import { drawChart } from './chart.ts';

interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** The names of the lines: the measured one, and its reference. */
  readonly names: readonly [string, string];
}

const PLOTS: Readonly<Record<Point['plot'], Plot>> = {
  'clients-throughput': {
    title: 'Get: calls per second, by clients',
    x: 'clients, each with one call at a time',
    y: 'calls per second',
    names: ['cio-credentiald', 'echo server'],
  },
  'clients-p99': {
    title: 'Get: 99th percentile of the time to the reply, by clients',
    x: 'clients, each with one call at a time',
    y: 'µs',
    names: ['cio-credentiald', 'echo server'],
  },
  'store-get': {
    title: 'Get of a random name: p50, by size of the store',
    x: 'credentials in the store',
    y: 'µs',
    names: ['store of this size', 'store of 16, same rounds'],
  },
  'list-total': {
    title: 'List of everything, to the last batch',
    x: 'credentials in the store',
    y: 'ms',
    names: ['cio-credentiald', 'the same bytes, written only'],
  },
};

/** Draws every plot for which a report has at least two points. @returns the files by name */
function drawPlots({ rows }: Report): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [id, { names, ...labels }] of Object.entries(PLOTS)) {
    const points = rows.flatMap(({ point, measured, reference }) =>
      point?.plot === id ? [{ x: point.x, measured, reference }] : [],
    );
    if (points.length < 2) continue;
    const series = [
      { name: names[0], points: points.map(({ x, measured }) => ({ x, ...measured })) },
      { name: names[1], points: points.map(({ x, reference }) => ({ x, ...reference })) },
    ] as const;
    files.set(`${id}.svg`, drawChart({ ...labels, series }));
  }
  return files;
}

/** The file with the data of the plots. */
export const PLOTTED = 'bench.json';

/** Writes a report and its plots into a folder. */
export function writePlots(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, PLOTTED), `${JSON.stringify(report, undefined, 2)}\n`);
  for (const [name, svg] of drawPlots(report)) writeFileSync(path.join(folder, name), svg);
}
