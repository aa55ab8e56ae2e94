import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';

/** The command line is not understood; the message says what. */
export class UsageError extends Error {}

const EXIT_USAGE = 2;

/** What was given of these options. @throws UsageError */
export function parseWords<Config extends ParseArgsOptionsConfig>(
  argv: readonly string[],
  options: Config,
): ReturnType<typeof parseArgs<{ args: string[]; options: Config }>>['values'] {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'the arguments are not understood');
  }
}

const SEED_LIMIT = 2 ** 32;

/** What `--seed` was given, else one of its own. @throws UsageError */
export function parseSeed(given: string | undefined): number {
  const seed = given === undefined ? randomInt(SEED_LIMIT) : Number(given);
  if (given?.trim() !== '' && Number.isInteger(seed) && seed >= 0 && seed < SEED_LIMIT) return seed;
  throw new UsageError(`--seed takes an integer of 0 to ${SEED_LIMIT - 1}`);
}

/** @throws UsageError where one that was named is none of those there are */
export function requireKnown(kind: string, named: readonly string[], known: readonly string[]): void {
  const unknown = named.find((id) => !known.includes(id));
  if (unknown === undefined) return;
  throw new UsageError(`there is no ${kind} ${unknown}; the ${kind}s are ${known.join(', ')}`);
}

/** Runs a program of the tests, or says how it is used; gives its exit code. */
export async function runProgram<Options extends { readonly isHelp: boolean }>(
  usage: string,
  parse: () => Options,
  run: (options: Options) => number | Promise<number>,
): Promise<number> {
  try {
    const options = parse();
    if (!options.isHelp) return await run(options);
    process.stdout.write(usage);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${usage}`);
    return EXIT_USAGE;
  }
}
