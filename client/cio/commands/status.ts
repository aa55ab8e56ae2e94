import type { Set as CredentialSet, StatusOut } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { defineCommand, type Command } from '../command.ts';
import { formatHealth } from '../list/set-state.ts';
import { localUsers } from '../principals.ts';
import { printable } from '../text.ts';
import { formatAge, formatInterval, formatTime } from '../time.ts';

/** Shows the state of the daemon and the store. */
export const STATUS: Command = defineCommand({
  name: 'status',
  operation: 'Show status',
  summary: 'Show the state of the daemon and the store, and which sets fail',
  positionals: {},
  options: {},
  examples: [['cio credential status', '']],
  async run(_input, session) {
    await session.withClient(async (client) => {
      const status = await client.call('Status', {});
      const failingSets = await findFailing(client, status);
      session.print({ ...status, failingSets, socket: client.socket }, () => {
        return formatStatus(status, client.socket) + formatFailing(failingSets);
      });
    });
    return 0;
  },
});

/** Returns the sets that failed their last validation. The daemon is asked for them only if there are any. */
async function findFailing(client: CredentialClient, { locked, failing }: StatusOut): Promise<CredentialSet[]> {
  const found: CredentialSet[] = [];
  if (locked || (failing ?? 0) === 0) return found;
  for await (const { sets } of client.stream('List', { allOwners: true })) {
    found.push(...sets.filter(({ health }) => health.state === 'failed'));
  }
  return found;
}

function formatFailing(sets: readonly CredentialSet[]): string {
  const nowMs = Date.now();
  const lines = sets.map(({ set, health }) => `  ${printable(`${set}: ${formatHealth(health, nowMs)}`)}\n`);
  return lines.length === 0 ? '' : `\nFailing (cio credential validate SET shows more):\n${lines.join('')}`;
}

function formatStatus(status: StatusOut, socket: string): string {
  const user = localUsers().get(status.uid) ?? `uid ${status.uid}`;
  const lines: (readonly [string, string | undefined])[] = [
    ['Daemon', `cio-credentiald ${status.version}, process ${status.pid}, as ${user}`],
    ['Started', `${formatTime(status.started)}, ${formatAge(status.started, Date.now())}`],
    ['Socket', socket],
    ['Store', store(status)],
    ['Credentials', text(status.credentials)],
    ['Generation', text(status.generation)],
    ['Store id', text(status.storeId)],
    ['Key epoch', text(status.keyEpoch)],
    ['Unlock slots', status.slots?.map(({ kind, label }) => (label ? `${kind} (${label})` : kind)).join(', ')],
    ['Memory', memory(status)],
    ['Validation', validation(status)],
    [
      'You are',
      status.administrator ? 'an administrator' : 'a user: you see what is yours, and what was granted to you',
    ],
  ];
  return lines
    .flatMap(([title, value]) => (value === undefined ? [] : [`${title.padEnd(14)}${printable(value)}\n`]))
    .join('');
}

function store({ locked, intact }: StatusOut): string {
  if (locked) return 'locked; open it with cio credential unlock';
  return intact === false ? 'open, and NOT as it was left; cio credential fsck tells more' : 'open';
}

function memory({ keysLocked, undumpable }: StatusOut): string | undefined {
  if (typeof keysLocked !== 'boolean' || typeof undumpable !== 'boolean') return undefined;
  const swap = keysLocked ? 'keys are never swapped out' : 'keys CAN reach the swap space';
  return `${swap}; ${undumpable ? 'not dumpable' : 'DUMPABLE: secrets can reach a core file'}`;
}

function validation({ validateEvery, failing }: StatusOut): string | undefined {
  if (typeof failing !== 'number') return undefined;
  const often = typeof validateEvery === 'number' ? `every ${formatInterval(validateEvery)}` : 'by hand only';
  return `${often}; ${failing === 0 ? 'no set fails' : `${failing} ${failing === 1 ? 'set fails' : 'sets fail'}`}`;
}

function text(value: string | number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : `${value}`;
}
