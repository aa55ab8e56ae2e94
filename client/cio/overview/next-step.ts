import type { Set as CredentialSet, StatusOut } from '../../../src/protocol/interface.generated.ts';
import { memberName } from '../../../src/sets.ts';

/** The next step for the user. `command` is a command line, or undefined if none would help. */
export interface NextStep {
  readonly command: string | undefined;
  readonly why: string;
}

/** Returns the most serious obstacle to a working backup, and the command that removes it. */
export function nextStep(
  { locked, administrator }: StatusOut,
  sets: readonly CredentialSet[],
  damaged: number,
): NextStep {
  if (locked) {
    return administrator
      ? { command: 'cio credential unlock', why: 'the store is locked' }
      : { command: undefined, why: 'the store is locked: root, or a member of the group cio, can open it' };
  }
  if (damaged > 0) return { command: 'cio credential fsck', why: `damaged records: ${damaged}` };
  const [first] = sets;
  if (first === undefined) {
    return { command: 'cio credential create aws', why: 'there is no set yet; or minio, azure, google' };
  }
  const failing = sets.find(({ ready, health }) => ready && health.state === 'failed');
  if (failing !== undefined)
    return { command: `cio credential validate ${failing.set}`, why: `the last validation of ${failing.set} failed` };
  const incomplete = sets.find(({ ready, missing }) => !ready && missing.length > 0);
  if (incomplete !== undefined) {
    const { set, missing } = incomplete;
    return {
      command: `cio credential create ${memberName(set, missing[0] ?? '')}`,
      why: `${set} lacks ${missing.join(', ')}`,
    };
  }
  const unproved = sets.find(({ health }) => health.state === 'unproved');
  if (unproved !== undefined) {
    return {
      command: `cio credential validate ${unproved.set}`,
      why: `${unproved.set} has not been validated since its last change`,
    };
  }
  return { command: `cio credential exec ${first.set} -- restic snapshots`, why: 'every set is complete and works' };
}
