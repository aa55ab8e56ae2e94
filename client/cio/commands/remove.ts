import { assertCanConfirm, assertConfirmed } from '../confirm.ts';
import { defineCommand, OWNER_OPTION, YES_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import type { Session } from '../session.ts';

/** Removes credentials and sets. */
export const REMOVE: Command = defineCommand({
  name: 'remove',
  aliases: ['delete', 'rm'],
  operation: 'Remove credential',
  summary: 'Remove credentials or whole sets, all or none',
  details:
    'Kept versions and grants go with them. On a terminal it shows what will go, and asks; elsewhere it needs --yes, ' +
    'except as `cio credentials delete` with one name, as in pxctl.',
  positionals: { 'NAME|SET|UUID': { describe: 'What to remove', count: 'some', completes: 'target' } },
  options: { ...YES_OPTION, ...OWNER_OPTION },
  examples: [
    ['cio credential remove cio_aws_session_token', ''],
    ['cio credential remove aws_alt --yes', 'a whole set'],
  ],
  async run({ positionals, options }, session) {
    const names = positionals['NAME|SET|UUID'];
    const owner = resolveOwner(options.owner);
    // pxctl takes one name, does not ask, and has no --yes. Scripts written for it run without a terminal, and keep
    // working.
    const isUnasked = options.yes || (session.isPortworx && names.length === 1 && !session.prompter.canAsk);
    const ifGeneration = isUnasked ? null : await confirmRemoval(session, names, owner);
    const reply = await session.withClient((client) => client.call('Remove', { names, owner, ifGeneration }));
    if (session.isJson) session.printDocument(reply);
    else if (session.isPortworx) session.succeedAs(reply, 'Credential deleted successfully');
    else for (const name of reply.removed) session.succeed(reply, 'Remove credential', `Credential ${name} removed`);
    return 0;
  },
});

/**
 * Shows what would be removed, and asks. Returns the generation of what was shown, so that the daemon refuses to remove
 * anything that was stored later.
 */
async function confirmRemoval(
  session: Session,
  names: readonly string[],
  owner: number | null,
): Promise<number | null> {
  assertCanConfirm(session);
  const { credentials, sets } = await session.withClient((client) => client.call('List', { patterns: names, owner }));
  const going = credentials.filter(({ writable }) => writable);
  // The call itself reports a name that does not exist, is not valid, or belongs to another user.
  if (going.length === 0) return null;
  for (const { name } of going) session.note(`  ${name}`);
  await assertConfirmed(
    session,
    `Remove ${going.length === 1 ? 'this credential' : `these ${going.length} credentials`}, with all kept versions, for good?`,
  );
  // The generation of a set also counts removals. Sets that other users granted to the caller do not matter here.
  const owners = new Set(going.map((credential) => credential.owner));
  const own = [...going, ...sets.filter((set) => owners.has(set.owner))];
  return Math.max(...own.map(({ generation }) => generation));
}
