import { resolve } from 'node:path';
import type { AddSlotIn } from '../../../src/protocol/interface.generated.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, type Command } from '../command.ts';
import { readNewPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';

const KINDS = ['passphrase', 'recovery', 'keyfile', 'systemd'] as const;

/** Adds a way to open the store. */
export const SLOT_ADD: Command = defineCommand({
  name: 'slot add',
  operation: 'Add slot',
  summary: 'Add a way to open the store',
  details:
    'passphrase asks for one; recovery prints a code, this once; keyfile has the daemon make a key file at PATH; ' +
    'systemd uses the credential NAME that the unit of the daemon gets by LoadCredentialEncrypted=.',
  positionals: {
    KIND: { describe: KINDS.join(', '), count: 'one', completes: KINDS },
    'PATH|NAME': {
      describe: 'Path of a new key file, or name of a systemd credential',
      count: 'optional',
      completes: 'file',
    },
  },
  options: { label: { type: 'string', value: 'TEXT', describe: 'What to call it in slot list' } },
  examples: [
    ['cio credential slot add passphrase', ''],
    ['cio credential slot add recovery > recovery-code.txt', ''],
    ['cio credential slot add keyfile /media/key/cio.key', ''],
  ],
  async run({ positionals, options }, session) {
    const particulars = await readParticulars(positionals.KIND, positionals['PATH|NAME'], session);
    const parameters = { ...particulars, label: options.label ?? null };
    const reply = await session.withClient((client) => client.call('AddSlot', parameters));
    if (!session.isJson && reply.recoveryCode) {
      session.note(
        'This code opens the store when everything else is lost. It is shown this once: print it, keep it away from this host.',
      );
      session.print(reply, () => `${reply.recoveryCode}\n`);
    }
    session.succeed(reply, 'Add slot', `Slot ${reply.slot.id} (${reply.slot.kind}) added`);
    return 0;
  },
});

async function readParticulars(kind: string, place: string | undefined, session: Session): Promise<AddSlotIn> {
  if (place !== undefined && (kind === 'passphrase' || kind === 'recovery'))
    throw usageError(`${kind} takes no more arguments`);
  switch (kind) {
    case 'passphrase':
      return { kind, passphrase: await readNewPassphrase(session, 'New passphrase') };
    case 'recovery':
      return { kind };
    case 'keyfile':
      if (place === undefined) throw usageError('the path of the new key file is missing');
      return { kind, path: resolve(place) };
    case 'systemd':
      if (place === undefined) throw usageError('the name of the systemd credential is missing');
      return { kind, credential: place };
    default:
      throw usageError(`KIND is one of ${KINDS.join(', ')}`);
  }
}
