import { spawnSync } from 'node:child_process';
import { CommandError } from '../command-error.ts';

const PROGRAM = 'systemd-creds';

/** Generous, since a TPM can be slow. */
const TIMEOUT_MS = 60_000;

/**
 * Encrypts a value for this host, as `LoadCredentialEncrypted=` and `SetCredentialEncrypted=` take it: base64 with line
 * breaks. The value goes to the child process through a pipe.
 *
 * @throws CommandError `ProgramFailed`
 */
export function encryptForUnit(name: string, value: Uint8Array): Buffer {
  const { error, status, stdout } = spawnSync(PROGRAM, ['encrypt', `--name=${name}`, '-', '-'], {
    input: value,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    // The output is about 200 bytes plus 4/3 of the value's size, which is at most 1 MiB.
    maxBuffer: 4 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  const isAbsent = error !== undefined && 'code' in error && error.code === 'ENOENT';
  throw new CommandError(
    'ProgramFailed',
    isAbsent ? `there is no ${PROGRAM} on this host` : `${PROGRAM} could not encrypt ${name}`,
    isAbsent ? 'it comes with systemd 250 and later' : 'its own message is above; without a TPM this takes root',
  );
}
