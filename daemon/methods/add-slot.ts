import { isAbsolute, normalize } from 'node:path';

import { CredentialError } from '../../src/errors.ts';
import type { AddSlotIn } from '../../src/protocol/interface.generated.ts';
import { requireAdministrator } from '../access/rules.ts';
import type { SlotRequest } from '../vault/slot-keeper.ts';
import { DEFAULT_SYSTEMD_CREDENTIAL } from '../vault/slot-keeper.ts';
import { describeSlot } from '../vault/slots.ts';
import type { Method } from './context.ts';

const LABEL_LENGTH_MAX = 64;
const PASSPHRASE_LENGTH_MAX = 1024;
const PATH_LENGTH_MAX = 4096;
/** A name that systemd takes for a credential, and that is a file name (systemd.exec(5)). */
const SYSTEMD_CREDENTIAL = /^(?!\.)[A-Za-z0-9_.-]{1,255}$/;

/** Adds a way to open the store, which must be unlocked. */
export const addSlot: Method<'AddSlot'> = async ({ slots }, caller, parameters) => {
  requireAdministrator(caller);
  const request = toRequest(parameters);
  if (request.kind === 'keyfile' && !caller.isDaemonsUser && !slots.isInStateDirectory(request.path)) {
    throw new CredentialError('AccessDenied', { right: 'administer' });
  }
  const { slot, recoveryCode } = await slots.add(request);
  return { slot: describeSlot(slot), ...(recoveryCode === undefined ? {} : { recoveryCode }) };
};

/** @throws CredentialError `InvalidValue`, which says what is wrong and does not quote what was given */
function toRequest({ kind, label, passphrase, path, credential }: AddSlotIn): SlotRequest {
  const labelled =
    typeof label === 'string'
      ? { label: checked('label', label, isLabel, 'it is not a line of 1 to 64 characters') }
      : {};
  switch (kind) {
    case 'recovery':
      return { kind, ...labelled };
    case 'passphrase':
      return {
        kind,
        passphrase: checked('passphrase', passphrase, isPassphrase, 'it is empty or too long'),
        ...labelled,
      };
    case 'keyfile':
      return { kind, path: checked('path', path, isCleanPath, 'it is not a normalized absolute path'), ...labelled };
    case 'systemd': {
      const name = checked(
        'credential',
        credential ?? DEFAULT_SYSTEMD_CREDENTIAL,
        isCredentialId,
        'it is not a name of a systemd credential',
      );
      return { kind, credential: name, ...labelled };
    }
  }
}

function checked(
  name: string,
  text: string | null | undefined,
  isValid: (text: string) => boolean,
  reason: string,
): string {
  if (typeof text !== 'string' || !text.isWellFormed() || !isValid(text))
    throw new CredentialError('InvalidValue', { name, reason });
  return text;
}

function isLabel(text: string): boolean {
  return text.length > 0 && text.length <= LABEL_LENGTH_MAX && !/\p{Cc}/u.test(text);
}

function isPassphrase(text: string): boolean {
  return text.length > 0 && text.length <= PASSPHRASE_LENGTH_MAX;
}

function isCleanPath(text: string): boolean {
  return isAbsolute(text) && normalize(text) === text && text.length <= PATH_LENGTH_MAX && !text.includes('\0');
}

function isCredentialId(text: string): boolean {
  return SYSTEMD_CREDENTIAL.test(text);
}
