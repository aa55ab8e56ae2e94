import { EXIT } from '../../../src/errors.ts';
import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { localUsers, resolveOwner } from '../principals.ts';
import { formatTable } from '../table.ts';
import { terminalWidth } from '../terminal.ts';
import { formatAge } from '../time.ts';

/** Shows what is stored; never a secret. */
export const LIST: Command = defineCommand({
  name: 'list',
  aliases: ['ls'],
  operation: 'List credentials',
  summary: 'Show what is stored, and which sets are complete',
  details: 'The values of public fields, such as a repository, are shown; secrets never.',
  positionals: {
    PATTERN: { describe: 'A name, a set, a UUID, or a name with * and ? in it', count: 'any', completes: 'target' },
  },
  options: {
    'all-owners': { type: 'boolean', describe: 'The credentials of every user (administrators)' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential list', ''],
    ['cio credential list aws', 'one set'],
    ["cio credential list '*_alt_*'", 'a pattern'],
    ['cio credential list --json', 'with the grants'],
  ],
  async run({ positionals, options }, session) {
    const parameters = {
      patterns: positionals.PATTERN,
      owner: resolveOwner(options.owner),
      allOwners: options['all-owners'],
    };
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
    if (!session.isJson && credentials.length === 0) session.note('No credentials.');
    session.print({ credentials, sets, damaged }, () => formatList(credentials, sets));
    if (damaged === 0) return EXIT.done;
    session.note(`${damaged} damaged records are left out: cio credential fsck tells more.`);
    return EXIT.damaged;
  },
});

function formatList(credentials: readonly Credential[], sets: readonly CredentialSet[]): string {
  const users = localUsers();
  const now = Date.now();
  const width = terminalWidth();
  const ownerOf = (uid: number): string => (uid === 0 ? 'shared' : (users.get(uid) ?? `${uid}`));
  const setRows = sets.map(({ set, provider, ready, missing, owner, changed }) => [
    set,
    provider ?? '-',
    ownerOf(owner),
    formatAge(changed, now),
    ready ? 'ready' : `misses ${missing.join(', ')}`,
  ]);
  const rows = credentials.map(({ name, version, changed, owner, value }) => [
    name,
    `${version}`,
    formatAge(changed, now),
    ownerOf(owner),
    value ?? '-',
  ]);
  const setTable = formatTable(
    [{ title: 'SET' }, { title: 'PROVIDER' }, { title: 'OWNER' }, { title: 'CHANGED' }, { title: 'STATE' }],
    setRows,
    width,
  );
  const table = formatTable(
    [
      { title: 'NAME' },
      { title: 'VERSION' },
      { title: 'CHANGED' },
      { title: 'OWNER' },
      { title: 'VALUE', isElastic: true },
    ],
    rows,
    width,
  );
  return [...(sets.length > 0 ? [setTable] : []), ...(credentials.length > 0 ? [table] : [])].join('\n');
}

/** By character codes: the same order in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
