import { spawnSync } from 'node:child_process';
import { CommandError } from '../command-error.ts';

const PROGRAM = 'systemd-creds';

/** A TPM may take its time. */
const TIMEOUT_MS = 60_000;

/**
 * A value, encrypted for this host as `LoadCredentialEncrypted=` and `SetCredentialEncrypted=` take it: base64 with line
 * ends. The value goes to the child by a pipe.
 *
 * @throws CommandError `HelperFailed`
 */
export function encryptForUnit(name: string, value: Uint8Array): Buffer {
  const { error, status, stdout } = spawnSync(PROGRAM, ['encrypt', `--name=${name}`, '-', '-'], {
    input: value,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    // A blob is some 200 bytes and a third more than the largest value.
    maxBuffer: 4 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  const isAbsent = error !== undefined && 'code' in error && error.code === 'ENOENT';
  throw new CommandError(
    'HelperFailed',
    isAbsent ? `there is no ${PROGRAM} on this host` : `${PROGRAM} could not encrypt ${name}`,
    isAbsent ? 'it comes with systemd 250 and later' : 'its own message stands above; without a TPM it takes root',
  );
}
