import type { Facts } from '../facts.ts';
import { Notes, type Verdict } from '../verdict.ts';

const UPGRADE = 'apt-get update && apt-get install --only-upgrade systemd';

/** A version of systemd: `major.point`. */
export interface SystemdVersion {
  readonly major: number;
  readonly point: number;
}

/**
 * Parses the first line of `systemctl --version`: `systemd 252 (252.39-1~deb12u2)`. `point` is 0 where it is not given.
 */
export function parseSystemdVersion(line: string): SystemdVersion | undefined {
  const match = /^systemd (\d{2,4})(?:\.(\d+))?(?:\s+\(v?\d+(?:\.(\d+))?)?/.exec(line);
  return match === null ? undefined : { major: Number(match[1]), point: Number(match[2] ?? match[3] ?? 0) };
}

/** Checks whether this version of systemd can load credentials from a socket. */
export function checkSystemd({ systemd }: Facts): Verdict {
  const notes = new Notes();
  if (!systemd.isRunning) {
    notes.skip('this host does not run systemd: no unit can load a credential, and nothing restarts the daemon');
    return notes;
  }
  const line = notes.see(systemd.version);
  if (line === undefined) return notes;
  const version = parseSystemdVersion(line);
  if (version === undefined) {
    notes.skip('the output of systemctl --version is not understood');
    return notes;
  }
  const { major, point } = version;
  if (major < 247) {
    notes.error(`systemd ${major} has no LoadCredential=`, 'units cannot load credentials; 247 and later can', UPGRADE);
  } else if (major < 250) {
    notes.warning(
      `systemd ${major} has no LoadCredentialEncrypted=`,
      'the root key cannot be kept in the TPM2, and a unit may start with an empty secret when the daemon is killed; 250 and later can',
      UPGRADE,
    );
  } else if (major === 252 && point < 2) {
    notes.error(
      `systemd ${major}.${point} aborts when a unit loads a credential from a socket`,
      'that takes down the service manager of the whole host (systemd#25719)',
      UPGRADE,
    );
  }
  return notes;
}
