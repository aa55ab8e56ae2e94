/**
 * Draws the plots of a stored report again.
 *
 *     node test/bench/plots/main.ts docs/bench/bench.json
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Report } from '../report.ts';
import { writePlots } from './plots.ts';

const [file = ''] = process.argv.slice(2);
writePlots(JSON.parse(readFileSync(file, 'utf8')) as Report, path.dirname(file));
