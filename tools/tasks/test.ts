/** `npm test [-- PATTERN… | OPTION…]`: all tests, or the given files; options are those of `node --test`. */
import fs from 'node:fs';
import path from 'node:path';
import { runTests } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

const args = process.argv.slice(2);
const hasFiles = args.some((arg) => !arg.startsWith('-'));
const { code, skipped } = await runTests(hasFiles ? args : [...args, ...testFiles()]);

process.exitCode = code;
if (process.env['CI'] === 'true' && skipped.length > 0) {
  process.stdout.write(`\nCI=true, and skipped (which counts as failed):\n`);
  for (const line of skipped) process.stdout.write(`  ${line}\n`);
  process.exitCode = 1;
}

/** Every test but those that need a booted systemd (test/host) and those that measure (test/bench). */
function testFiles(): string[] {
  return fs.globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['test/bench/**', 'test/host/**'] }).toSorted();
}
