import type { Machine } from './machine.ts';
import { cio } from './cio.ts';

export const DAEMON = 'cio-credentiald.service';

/** Returns the daemon's pid inside the machine; undefined if none runs. */
export async function daemonPid(machine: Machine): Promise<number | undefined> {
  const { MainPID } = await machine.show(DAEMON, 'MainPID');
  return MainPID === '0' ? undefined : Number(MainPID);
}

/** Kills the daemon with SIGKILL, as the kernel's OOM killer does. */
export async function killDaemon(machine: Machine): Promise<void> {
  await signalDaemon(machine, 'KILL');
}

export async function signalDaemon(machine: Machine, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  await machine.succeed(['systemctl', 'kill', '--kill-whom=main', `--signal=${signal}`, DAEMON]);
}

/** Resolves once a daemon answers with an open store. */
export async function untilServing(machine: Machine): Promise<void> {
  await machine.until(async () => (await cio(machine, ['list'])).code === 0 || undefined, 30_000);
}
