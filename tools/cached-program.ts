/**
 * Programs that start with V8's code cache from an earlier run, so that they are not compiled again.
 *
 * V8 rejects a cache that was made by another version or with other flags, but recognizes a changed program only by its
 * length. Each cache therefore begins with the hash of its program.
 */
import { createHash } from 'node:crypto';

const HASH_CHARACTERS = 32;

/**
 * Returns the contents of the cache file. The loader looks for it as `<name>.<architecture>.cache` beside the program.
 */
export function cacheOf(program: string, made: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(hashOf(program)), made]);
}

/**
 * Returns the source of the file that is run. It is short, because it is the one part that is compiled at every start.
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
