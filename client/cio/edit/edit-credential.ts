import { isCredentialError } from '../../../src/errors.ts';
import { fieldOf } from '../../../src/providers/registry.ts';
import { membershipOf, providerOf } from '../../../src/sets.ts';
import { CommandError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { bytesOf } from '../value-output.ts';
import { editText } from './editor.ts';
import { MemoryFolder } from './memory-folder.ts';
import { storeChanges, reportUnchanged } from './store-changes.ts';
import { confirmReopen } from './confirm-reopen.ts';

/** Lets the user edit the value of one credential as text. */
export async function editCredential(session: Session, name: string, owner: number | null): Promise<number> {
  let current = await readCredential(session, name, owner);
  let shown = current.value;
  for (;;) {
    const typed = await editValue(shown);
    if (typed === current.value) return reportUnchanged(session);
    const wrong = checkOf(name, typed);
    if (wrong !== undefined) {
      const error = new CommandError(
        'InvalidInput',
        `the value of ${name} is not valid: ${wrong}`,
        'nothing was changed',
      );
      if (!(await confirmReopen(session, `Not stored: ${error.message}.`))) throw error;
      shown = typed;
      continue;
    }
    try {
      await storeChanges(session, { values: new Map([[name, typed]]), generation: current.generation, owner });
      return 0;
    } catch (error) {
      if (!isCredentialError(error, 'Conflict')) throw error;
      if (!(await confirmReopen(session, `Not stored: ${name}, or its set, was changed in the meantime.`))) throw error;
      current = await readCredential(session, name, owner);
      shown = typed;
    }
  }
}

interface Current {
  readonly value: string;
  readonly generation: number;
}

async function readCredential(session: Session, name: string, owner: number | null): Promise<Current> {
  return session.withClient(async (client) => {
    const reply = await client.call('Get', { name, owner });
    const value = decodeAndWipe(bytesOf(reply, client.socket));
    if (value === undefined) {
      throw new CommandError(
        'NotInForm',
        `${name} is not text`,
        `cio credential create ${name} - --replace --keep-newline < PATH`,
      );
    }
    return { value, generation: reply.generation };
  });
}

/** Lets the user edit a value. Editors want a line end at the end of a file; it is not part of the value. */
async function editValue(value: string): Promise<string> {
  using folder = MemoryFolder.make(process.env);
  const typed = await editText(folder, 'value.txt', `${value}\n`);
  return typed.replace(/\n$/, '');
}

function checkOf(name: string, value: string): string | undefined {
  if (value === '') return 'it is empty';
  const member = membershipOf(name);
  return member && fieldOf(member.field, providerOf(member.set, undefined))?.check?.(value);
}
