/**
 * Programs that start with what V8 made of them in an earlier run, so that no later run compiles that again.
 *
 * V8 refuses a cache of another version or of other flags, but knows a changed program by its length only. So each cache
 * begins with the hash of its program.
 */
import { createHash } from 'node:crypto';

const HASH_CHARACTERS = 32;

/** What the cache of a program holds; the loader looks for it in `<name>.<architecture>.cache` beside the program. */
export function cacheOf(program: string, made: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(hashOf(program)), made]);
}

/**
 * The file that is run: plain, because it is the one part that no cache helps.
 *
 * @param program an expression that is a function of `require`, `module` and `exports`
 */
export function loaderOf(name: string, program: string): string {
  return `'use strict';
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');
const program = ${JSON.stringify(program)};
let cachedData;
try {
  const cache = readFileSync(__dirname + '/${name}.' + process.arch + '.cache');
  if (cache.latin1Slice(0, ${HASH_CHARACTERS}) === '${hashOf(program)}') cachedData = cache.subarray(${HASH_CHARACTERS});
} catch {
  // Built on another machine, or copied without it.
}
new Script(program, { filename: __filename, cachedData }).runInThisContext()(require, module, module.exports);
`;
}

function hashOf(program: string): string {
  return createHash('sha256').update(program).digest('hex').slice(0, HASH_CHARACTERS);
}
