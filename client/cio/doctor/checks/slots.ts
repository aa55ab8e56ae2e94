import type { Slot } from '../../../../src/protocol/interface.generated.ts';
import type { Facts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { KEY_FILE, ROOT_KEY_CREDENTIAL, ROOT_KEY_CREDENTIAL_PATH, SERVICE } from '../places.ts';
import { Notes, type Verdict } from '../verdict.ts';

const ADD_RECOVERY = 'cio credential slot add recovery';
const ADD_SYSTEMD = `cio credential slot add systemd ${ROOT_KEY_CREDENTIAL}`;
const MAKE_KEY =
  `mkdir -p -m 0700 /etc/credstore.encrypted && { test -e ${ROOT_KEY_CREDENTIAL_PATH} || head -c 32 /dev/urandom | base64 |` +
  ` systemd-creds encrypt --name=${ROOT_KEY_CREDENTIAL} --with-key=auto - ${ROOT_KEY_CREDENTIAL_PATH}; } &&` +
  ` systemctl restart ${SERVICE}`;

/** What makes a slot useless, by its kind: completes "every secret is lost …". */
const LOSS = {
  keyfile: 'when the key file is lost',
  systemd: 'when its TPM2 or its host key is lost, as with a new mainboard or a reinstallation',
  passphrase: 'when the passphrase is forgotten',
  recovery: 'when the recovery code is lost, and somebody has to type it at every start',
} as const;

/** A newer daemon may report kinds of slots that this `cio` does not know. */
function lossOf({ kind }: Slot): string {
  return Object.hasOwn(LOSS, kind) ? LOSS[kind as keyof typeof LOSS] : 'when what it needs is lost';
}

/** Checks whether the store can still be opened after one of its slots is lost, and whether it opens unattended. */
export function checkSlots({ daemon, store, process }: Facts): Verdict {
  const notes = new Notes();
  const slots = daemon.kind === 'answered' ? daemon.status.slots : undefined;
  if (slots === undefined || slots === null) {
    const isAnswered = daemon.kind === 'answered';
    notes.skip(isAnswered ? 'only administrators can see the slots' : 'the daemon does not answer');
    return notes;
  }
  const [first] = slots;
  if (first !== undefined && slots.length === 1) {
    notes.warning(
      `there is one slot (${first.kind}), and no other way to open the store`,
      `every secret is lost ${lossOf(first)}`,
      ADD_RECOVERY,
    );
  } else if (slots.length > 0 && slots.every(({ kind }) => kind === 'systemd')) {
    notes.warning('all slots are of kind systemd', `every secret is lost ${LOSS.systemd}`, ADD_RECOVERY);
  }
  const unattended = slots.filter(({ kind }) => kind === 'keyfile' || kind === 'systemd');
  if (unattended.length === 0 && slots.length > 0) {
    notes.hint('no slot opens the store unattended', 'it stays locked after every start until somebody unlocks it');
  }
  if (unattended.length === 0) return notes;
  if (unattended.every(({ kind }) => kind === 'systemd')) checkSystemdKey(notes, store, slots, isInService(process));
  else if (unattended.every(({ kind }) => kind === 'keyfile')) checkKeyFile(notes, store, isInService(process));
  return notes;
}

/** Warns if systemd's key is missing: the store may be open now, but its next start would not open it. */
function checkSystemdKey(notes: Notes, store: Facts['store'], slots: readonly Slot[], isInUnit: boolean): void {
  const seen = isInUnit ? notes.see(store) : undefined;
  if (seen === undefined || notes.see(seen.hasSystemdKey) !== false) return;
  // The restart in MAKE_KEY locks the store, so another slot must be able to open it again.
  const asked = slots.find(({ kind }) => kind === 'passphrase' || kind === 'recovery')?.kind;
  const unlock = `cio credential unlock${asked === 'passphrase' ? '' : ' --recovery'}`;
  notes.warning(
    `systemd's key is not at ${ROOT_KEY_CREDENTIAL_PATH}, and nothing else opens the store unattended`,
    'unless a drop-in gives the unit the key from elsewhere, the store stays locked after its next start',
    `${asked ? '' : `${ADD_RECOVERY} && `}${MAKE_KEY} && ${unlock} && ${ADD_SYSTEMD}`,
  );
}

/** @param isInUnit the daemon runs in the host's service, so systemd can pass it a key */
function checkKeyFile(notes: Notes, store: Facts['store'], isInUnit: boolean): void {
  const seen = notes.see(store);
  const files = seen && notes.see(seen.files);
  const keyFile = files?.find(({ path }) => path.endsWith(`/${KEY_FILE}`));
  if (seen === undefined || keyFile === undefined) return;
  const hasKey = notes.see(seen.hasSystemdKey) ?? false;
  notes.warning(
    `the key file ${keyFile.path} is beside the store, and only key files open the store unattended`,
    'whoever has a copy of the folder, as from a backup, has every secret; with another slot the key file can be removed',
    isInUnit ? (hasKey ? ADD_SYSTEMD : `${MAKE_KEY} && ${ADD_SYSTEMD}`) : undefined,
  );
}
