import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawChart } from './chart.ts';

const point = (x: number, median: number) => ({ x, median, q1: median / 2, q3: median * 2 });
const CHART = {
  title: 'a < b & c',
  x: 'clients',
  y: '/s',
  series: [
    { name: 'ours', points: [point(1, 10), point(1000, 1000)] },
    { name: 'theirs', points: [point(1, 100), point(1000, 100)] },
  ],
} as const;

describe('drawChart()', () => {
  it('draws a line and its points for each series, within the picture', () => {
    const svg = drawChart(CHART);
    assert.equal(svg.match(/<polyline /g)?.length, 2);
    assert.equal(svg.match(/<circle /g)?.length, 4);
    for (const [, x, y] of svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)) {
      assert.ok(Number(x) >= 0 && Number(x) <= 640, x);
      assert.ok(Number(y) >= 0 && Number(y) <= 380, y);
    }
  });

  it('puts a greater value higher, and a greater number of clients further right', () => {
    const circles = [...drawChart(CHART).matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
      Number(x),
      Number(y),
    ]);
    const [low, high] = circles;
    assert.ok((high?.[1] ?? 0) < (low?.[1] ?? 0));
    assert.ok((high?.[0] ?? 0) > (low?.[0] ?? 0));
  });

  it('escapes text', () => {
    assert.match(drawChart(CHART), /<title>a &lt; b &amp; c<\/title>/);
  });
});
