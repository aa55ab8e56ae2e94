import { resolve } from 'node:path';
import { isCredentialError } from '../../../src/errors.ts';
import type { AddSlotIn, AddSlotOut } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { CommandError, RewordedError, usageError } from '../command-error.ts';
import { defineCommand, type Command } from '../command.ts';
import { STDOUT } from '../file-descriptors.ts';
import { reasonOfCode } from '../file-error.ts';
import { explain } from '../messages.ts';
import { TERMINATION_SIGNALS } from '../on-termination.ts';
import { readNewPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';
import { isNullDevice, isTerminal } from '../terminal.ts';
import { printableJson } from '../text.ts';

const KINDS = ['passphrase', 'recovery', 'keyfile', 'systemd'] as const;

/** Adds a way to open the store. */
export const SLOT_ADD: Command = defineCommand({
  name: 'slot add',
  operation: 'Add slot',
  summary: 'Add a way to open the store',
  details:
    'passphrase asks for one; recovery prints a code, only once; keyfile has the daemon make a key file at PATH; ' +
    "systemd uses the credential NAME that the daemon's unit loads with LoadCredentialEncrypted=.",
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
    if (print && session.isJson) throw usageError('--print and --json both need standard output');
    if (positionals.KIND === 'recovery' && isNullDevice(STDOUT))
      throw new CommandError('WriteFailed', 'nobody would see the code: standard output is closed, or /dev/null');
    const slot = await readSlotParameters(positionals.KIND, positionals['PATH|NAME'], session);
    const parameters = { ...slot, label: options.label ?? null };
    const reply = await session.withClient(async (client) => {
      // Asked first: if this failed after the slot was added, its code would be lost.
      const storeId = print ? (await client.call('Status', {})).storeId : undefined;
      let isInterrupted = false;
      // A process that ended from here on would leave a slot whose code nobody has seen. A second signal still ends it.
      if (parameters.kind === 'recovery')
        for (const signal of TERMINATION_SIGNALS) process.once(signal, () => (isInterrupted = true));
      const added = await client
        .call('AddSlot', parameters)
        .catch((error: unknown) => rewordRefusal(error, parameters.kind));
      if (added.recoveryCode) {
        const text = await textOf(session, added, added.recoveryCode, print, storeId ?? undefined);
        await showRecoveryCode(session, client, added, isInterrupted ? undefined : text);
      }
      return added;
    });
    if (!session.isJson || !reply.recoveryCode) {
      session.succeed(reply, 'Add slot', `Slot ${reply.slot.id} (${reply.slot.kind}) added`);
    }
    return 0;
  },
});

/** Rewords a refusal: the value at fault is not that of a credential, but an argument for the new slot. */
function rewordRefusal(error: unknown, kind: string): never {
  if (kind === 'keyfile' && isCredentialError(error, 'AccessDenied')) {
    throw new RewordedError(error, {
      hint: "root may put a key file anywhere; members of the group cio, only in the daemon's state directory",
    });
  }
  if (!isCredentialError(error, 'InvalidValue')) throw error;
  const { name, reason } = error.fields;
  // The key file is to be created, so ENOENT means that its folder does not exist.
  const message = reason.replace(/\bENOENT$/, 'its folder does not exist ($&)').replace(/\bE[A-Z]+$/, reasonOfCode);
  if (name !== 'path') throw new RewordedError(error, { message: `the ${name}: ${message}` });
  throw new RewordedError(error, { message, hint: 'give it a new name, in a folder that the daemon can write to' });
}

/**
 * Shows a recovery code, this once. If it cannot be shown, the slot is of no use, and is removed again.
 *
 * @param text undefined if the command was interrupted
 */
async function showRecoveryCode(
  session: Session,
  client: CredentialClient,
  { slot }: AddSlotOut,
  text: string | undefined,
): Promise<void> {
  if (text !== undefined && !session.isJson) {
    session.note(
      'This code opens the store when all else is lost. It is shown only once: print it, and keep it away from this host.',
    );
  }
  try {
    if (text === undefined) throw new CommandError('Interrupted', 'interrupted');
    session.deliver(text);
  } catch (error) {
    const { message } = explain(error);
    const code = text === undefined ? 'Interrupted' : 'WriteFailed';
    const isRemoved = await client.call('RemoveSlot', { id: slot.id }).then(
      () => true,
      () => false,
    );
    if (isRemoved) throw new CommandError(code, `${message}; the slot was removed again`);
    throw new CommandError(
      code,
      `${message}; nobody has the code of slot ${slot.id}`,
      `remove it: cio credential slot remove ${slot.id}`,
    );
  }
}

async function textOf(
  session: Session,
  added: AddSlotOut,
  code: string,
  print: boolean,
  storeId: string | undefined,
): Promise<string> {
  if (session.isJson) return `${printableJson(added)}\n`;
  if (!print) return `${code}\n`;
  const { formatRecoveryPage } = await import('../recovery/recovery-page.ts');
  const { hostname } = process.getBuiltinModule('node:os');
  const page = { code, slot: added.slot.id, storeId, host: hostname(), created: added.slot.created };
  return formatRecoveryPage(page, isTerminal(STDOUT));
}

async function readSlotParameters(kind: string, place: string | undefined, session: Session): Promise<AddSlotIn> {
  if (place !== undefined && (kind === 'passphrase' || kind === 'recovery'))
    throw usageError(`${kind} takes no more arguments`);
  switch (kind) {
    case 'passphrase':
      return { kind, passphrase: await readNewPassphrase(session, 'New passphrase') };
    case 'recovery':
      return { kind };
    case 'keyfile':
      if (!place) throw usageError('the path of the new key file is missing');
      return { kind, path: resolve(place) };
    case 'systemd':
      if (place === undefined) throw usageError('the name of the systemd credential is missing');
      return { kind, credential: place };
    default:
      throw usageError(`KIND is one of ${KINDS.join(', ')}`);
  }
}
