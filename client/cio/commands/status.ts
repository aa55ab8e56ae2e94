import type { StatusOut } from '../../../src/protocol/interface.generated.ts';
import { defineCommand, type Command } from '../command.ts';
import { localUsers } from '../principals.ts';
import { printable } from '../text.ts';
import { formatAge, formatTime } from '../time.ts';

/** Shows how the daemon and the store are. */
export const STATUS: Command = defineCommand({
  name: 'status',
  operation: 'Show status',
  summary: 'Show how the daemon and the store are',
  positionals: {},
  options: {},
  examples: [['cio credential status', '']],
  async run(_input, session) {
    await session.withClient(async (client) => {
      const status = await client.call('Status', {});
      session.print({ ...status, socket: client.socket }, () => formatStatus(status, client.socket));
    });
    return 0;
  },
});

function formatStatus(status: StatusOut, socket: string): string {
  const user = localUsers().get(status.uid) ?? `uid ${status.uid}`;
  const lines: (readonly [string, string | undefined])[] = [
    ['Daemon', `cio-credentiald ${status.version}, process ${status.pid}, as ${user}`],
    ['Started', `${formatTime(status.started)}, ${formatAge(status.started, Date.now())}`],
    ['Socket', socket],
    ['Store', status.locked ? 'locked; open it with cio credential unlock' : 'open'],
    ['Credentials', text(status.credentials)],
    ['Generation', text(status.generation)],
    ['Store id', text(status.storeId)],
    ['Key epoch', text(status.keyEpoch)],
    ['Unlock slots', status.slots?.map(({ kind, label }) => (label ? `${kind} (${label})` : kind)).join(', ')],
    ['Memory', memory(status)],
    [
      'You are',
      status.administrator ? 'an administrator' : 'a user: you see what is yours, and what was granted to you',
    ],
  ];
  return lines
    .flatMap(([title, value]) => (value === undefined ? [] : [`${title.padEnd(14)}${printable(value)}\n`]))
    .join('');
}

function memory({ keysLocked, undumpable }: StatusOut): string | undefined {
  if (typeof keysLocked !== 'boolean' || typeof undumpable !== 'boolean') return undefined;
  const swap = keysLocked ? 'keys are never swapped out' : 'keys CAN reach the swap space';
  return `${swap}; ${undumpable ? 'not dumpable' : 'DUMPABLE: secrets can reach a core file'}`;
}

function text(value: string | number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : `${value}`;
}
