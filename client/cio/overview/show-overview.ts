import { EXIT } from '../../../src/errors.ts';
import type { Set as CredentialSet, StatusOut } from '../../../src/protocol/interface.generated.ts';
import { formatSetState } from '../list/set-state.ts';
import { nameOwners } from '../principals.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { terminalWidth } from '../terminal.ts';
import { formatCount, printable } from '../text.ts';
import { nextStep, type NextStep } from './next-step.ts';

/** Shows the state of the daemon and its sets, and the next step: what `cio credential` without a command prints. */
export async function showOverview(session: Session): Promise<number> {
  const { status, sets, damaged, socket } = await session.withClient(async (client) => {
    const found: CredentialSet[] = [];
    let count = 0;
    const status = await client.call('Status', {});
    if (!status.locked) {
      for await (const reply of client.stream('List', {})) {
        found.push(...reply.sets);
        count = reply.damaged;
      }
    }
    return { status, sets: found, damaged: count, socket: client.socket };
  });
  sets.sort((a, b) => (a.set < b.set ? -1 : a.set > b.set ? 1 : a.owner - b.owner));
  const next = nextStep(status, sets, damaged);
  const { version, locked, administrator, credentials } = status;
  session.print({ daemon: { version, socket, locked, administrator, credentials }, sets, damaged, next }, () =>
    formatOverview(status, sets, next),
  );
  return EXIT.done;
}

function formatOverview(status: StatusOut, sets: readonly CredentialSet[], { command, why }: NextStep): string {
  const next = command === undefined ? `Next:  ${why}` : `Next:  ${command}   (${why})`;
  return [
    `${formatDaemon(status)}\n`,
    ...(sets.length === 0 ? [] : [`\n${formatSets(sets)}`]),
    `\n${printable(next)}\n`,
    'Help:  cio credential --help\n',
  ].join('');
}

function formatDaemon({ version, locked, administrator, credentials }: StatusOut): string {
  const daemon = `cio-credentiald ${printable(version)} runs`;
  if (locked) return `${daemon}; its store is locked.`;
  const count = credentials ?? 0;
  const whose = administrator ? '' : ' of yours';
  return `${daemon}; its store is open, with ${formatCount(count, 'credential')}${whose}.`;
}

function formatSets(sets: readonly CredentialSet[]): string {
  const nowMs = Date.now();
  const hasOwners = sets.some(({ owner }) => owner !== 0);
  const ownerOf = nameOwners();
  return formatTable(
    [{ title: 'SET' }, ...(hasOwners ? [{ title: 'OWNER' }] : []), { title: 'STATE', isElastic: true }],
    sets.map((set) => [set.set, ...(hasOwners ? [ownerOf(set.owner)] : []), formatSetState(set, nowMs)]),
    terminalWidth(),
  );
}
