import { EXIT } from '../../../src/errors.ts';
import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import type { Listing, View } from '../list/listing.ts';
import { formatTables } from '../list/tables.ts';
import { nameOwners, resolveOwner } from '../principals.ts';
import type { Session } from '../session.ts';
import { terminalWidth } from '../terminal.ts';
import { printable, printableJson } from '../text.ts';

/** The output forms of a listing. */
const OUTPUTS = ['table', 'wide', 'json', 'yaml', 'name'] as const;

type Output = (typeof OUTPUTS)[number];

/** Shows what is stored; never a secret. */
export const LIST: Command = defineCommand({
  name: 'list',
  aliases: ['ls'],
  operation: 'List credentials',
  summary: 'Show what is stored, and which sets are complete and work',
  details:
    'The values of public fields, such as a repository, are shown; secrets never. cio credentials list shows ' +
    "pxctl's tables.",
  positionals: {
    PATTERN: { describe: 'A name, a set, a UUID, or a name with * and ? in it', count: 'any', completes: 'target' },
  },
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FORM',
      describe: 'table, wide (with grants, versions, UUIDs), json, yaml, name',
      completes: OUTPUTS,
    },
    'all-owners': { type: 'boolean', describe: 'The credentials of every user (administrators)' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential list', ''],
    ['cio credential list aws', 'one set'],
    ["cio credential list '*_alt_*'", 'a pattern'],
    ['cio credential list --json', 'with the grants'],
    ['cio credentials list', 'a table for each provider, as in pxctl'],
  ],
  async run({ positionals, options }, session) {
    const output = parseOutput(options.output, session.isJson);
    if (options.owner !== undefined && options['all-owners']) {
      throw usageError('--owner and --all-owners exclude each other');
    }
    const parameters = {
      patterns: positionals.PATTERN,
      owner: resolveOwner(options.owner),
      allOwners: options['all-owners'],
    };
    const listing = await readListing(session, parameters);
    const { credentials, damaged } = listing;
    const isForPeople = output === 'table' || output === 'wide';
    if (isForPeople && credentials.length === 0)
      session.note(parameters.patterns.length === 0 ? 'No credentials.' : 'Nothing matches.');
    const text = await format(listing, output, session.isPortworx);
    session.printRaw(text);
    if (output === 'table' && session.isPortworx) tellOfOthers(session, credentials);
    if (damaged === 0) return EXIT.done;
    session.note(`Damaged records, left out of the list: ${damaged}; for details: cio credential fsck`);
    return EXIT.damaged;
  },
});

/** @throws CommandError `Usage` */
function parseOutput(typed: string | undefined, isJson: boolean): Output {
  const output = OUTPUTS.find((one) => one === (typed ?? (isJson ? 'json' : 'table')));
  if (output === undefined) throw usageError('--output is not a known form', `the forms are ${OUTPUTS.join(', ')}`);
  if (isJson && output !== 'json') throw usageError('--json and another --output exclude each other');
  return output;
}

interface Parameters {
  readonly patterns: readonly string[];
  readonly owner: number | null;
  readonly allOwners: boolean;
}

async function readListing(session: Session, parameters: Parameters): Promise<Listing> {
  const credentials: Credential[] = [];
  const sets: CredentialSet[] = [];
  let damaged = 0;
  await session.withClient(async (client) => {
    for await (const reply of client.stream('List', parameters)) {
      for (const credential of reply.credentials) credentials.push(credential);
      for (const set of reply.sets) sets.push(set);
      ({ damaged } = reply);
    }
  });
  credentials.sort((a, b) => compare(a.name, b.name) || a.owner - b.owner);
  sets.sort((a, b) => compare(a.set, b.set) || a.owner - b.owner);
  return { credentials, sets, damaged };
}

async function format(listing: Listing, output: Output, isPortworx: boolean): Promise<string> {
  switch (output) {
    case 'json':
      return `${printableJson(listing)}\n`;
    case 'yaml':
      return (await import('../list/yaml.ts')).formatYaml(listing);
    case 'name':
      return namesOf(listing, isPortworx).join('');
    case 'wide':
      return (await import('../list/wide-tables.ts')).formatWideTables(listing, view());
    case 'table':
      if (!isPortworx) return formatTables(listing, view());
      return (await import('../list/portworx-tables.ts')).formatPortworxTables(listing, view());
  }
}

/** Lists names: of the credentials, or for pxctl of the sets, which are what it calls credentials. */
function namesOf({ credentials, sets }: Listing, isPortworx: boolean): string[] {
  const names = isPortworx ? sets.map(({ set }) => set) : credentials.map(({ name }) => name);
  return names.map((name) => `${printable(name)}\n`);
}

function view(): View {
  return { nowMs: Date.now(), width: terminalWidth(), ownerOf: nameOwners() };
}

/** Counts the credentials that are in no set, for which pxctl's tables have no place. */
function tellOfOthers(session: Session, credentials: readonly Credential[]): void {
  const others = credentials.filter(({ set }) => typeof set !== 'string').length;
  if (others === 0) return;
  const [are, them] = others === 1 ? ['credential is', 'it'] : ['credentials are', 'them'];
  session.note(`${others} ${are} in no set; cio credential list shows ${them}.`);
}

/** Compares by character code, so that the order is the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
