/** `npm test [-- PATTERN… | OPTION…]`: runs all tests or the given files, with options of `node --test`. */
import fs from 'node:fs';
import path from 'node:path';
import { runTests } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

const args = process.argv.slice(2);
const hasFiles = args.some((arg) => !arg.startsWith('-'));
const { code, skipped } = await runTests(hasFiles ? args : [...args, ...testFiles()]);

process.exitCode = code;
if (process.env['CI'] === 'true') {
  const excused = skipped.filter(isExcused);
  const failed = skipped.filter((line) => !isExcused(line));
  report('CI=true, and skipped because a server could not be installed on this machine', excused);
  report('CI=true, and skipped (which counts as failed)', failed);
  if (failed.length > 0) process.exitCode = 1;
}

/** Tells whether a skipped test needs a server that `.ci/run` could not install. */
function isExcused(line: string): boolean {
  const servers = (process.env['CIO_NOT_TO_BE_HAD'] ?? '').split(',').filter((name) => name !== '');
  return servers.some((server) => line.includes(`install-${server}.ts`));
}

function report(what: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  process.stdout.write(`\n${what}:\n`);
  for (const line of lines) process.stdout.write(`  ${line}\n`);
}

/** Returns all tests except those that need a booted systemd (test/host) and benchmarks (test/bench). */
function testFiles(): string[] {
  return fs.globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['test/bench/**', 'test/host/**'] }).toSorted();
}
