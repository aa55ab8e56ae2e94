import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';

/** Thrown when the command line is not understood; the message says what is wrong. */
export class UsageError extends Error {}

const EXIT_USAGE = 2;

/** Returns the values given for these options. @throws UsageError */
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

/** Returns the value of `--seed`, or a random seed without it. @throws UsageError */
export function parseSeed(given: string | undefined): number {
  const seed = given === undefined ? randomInt(SEED_LIMIT) : Number(given);
  if (given?.trim() !== '' && Number.isInteger(seed) && seed >= 0 && seed < SEED_LIMIT) return seed;
  throw new UsageError(`--seed takes an integer of 0 to ${SEED_LIMIT - 1}`);
}

/** @throws UsageError if a given name is not among the known ones */
export function requireKnown(kind: string, named: readonly string[], known: readonly string[]): void {
  const unknown = named.find((id) => !known.includes(id));
  if (unknown === undefined) return;
  throw new UsageError(`there is no ${kind} ${unknown}; the ${kind}s are ${known.join(', ')}`);
}

/** Runs a test program, or prints its usage. Returns its exit code. */
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
