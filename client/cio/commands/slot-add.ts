import { resolve } from 'node:path';
import type { AddSlotIn, AddSlotOut } from '../../../src/protocol/interface.generated.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, type Command } from '../command.ts';
import { STDOUT } from '../file-descriptors.ts';
import { readNewPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';
import { isTerminal } from '../terminal.ts';

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
  options: {
    label: { type: 'string', value: 'TEXT', describe: 'What to call it in slot list' },
    print: { type: 'boolean', describe: 'For recovery: a page for the printer, with the code also as a QR code' },
  },
  examples: [
    ['cio credential slot add passphrase', ''],
    ['cio credential slot add recovery --print | lpr', 'a page to be kept on paper'],
    ['cio credential slot add keyfile /media/key/cio.key', ''],
  ],
  async run({ positionals, options }, session) {
    const { print } = options;
    if (print && positionals.KIND !== 'recovery') throw usageError('--print is for the code of a recovery slot');
    if (print && session.isJson) throw usageError('--print and --json both want standard output');
    const particulars = await readParticulars(positionals.KIND, positionals['PATH|NAME'], session);
    const parameters = { ...particulars, label: options.label ?? null };
    const { reply, storeId } = await session.withClient(async (client) => ({
      reply: await client.call('AddSlot', parameters),
      storeId: print ? (await client.call('Status', {})).storeId : undefined,
    }));
    if (!session.isJson && reply.recoveryCode) {
      session.note(
        'This code opens the store when everything else is lost. It is shown this once: print it, keep it away from this host.',
      );
      const text = print ? await pageOf(reply, reply.recoveryCode, storeId ?? undefined) : `${reply.recoveryCode}\n`;
      session.print(reply, () => text);
    }
    session.succeed(reply, 'Add slot', `Slot ${reply.slot.id} (${reply.slot.kind}) added`);
    return 0;
  },
});

async function pageOf({ slot }: AddSlotOut, code: string, storeId: string | undefined): Promise<string> {
  const { formatRecoveryPage } = await import('../recovery/recovery-page.ts');
  const { hostname } = process.getBuiltinModule('node:os');
  const page = { code, slot: slot.id, storeId, host: hostname(), created: slot.created };
  return formatRecoveryPage(page, isTerminal(STDOUT));
}

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
