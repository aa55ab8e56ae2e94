import { askDaemon } from '../doctor/ask-daemon.ts';
import { defineCommand, type Command } from '../command.ts';
import { STDOUT } from '../file-descriptors.ts';
import { isColoured } from '../terminal.ts';
import { packageVersion } from '../version.ts';

/** Examines the host, and reports what is wrong, why it matters, and how to fix it. */
export const DOCTOR: Command = defineCommand({
  name: 'doctor',
  operation: 'Examine host',
  summary: 'Look for what is wrong on this host, and say how to fix it',
  details:
    'Checks the daemon, its sockets, sandbox and store, core dumps, swap, slots, the clock, systemd, units that load ' +
    'credentials, and secrets left in clear text. Changes nothing. Sees most as root. ' +
    'Exit code 1 if there is an error, 7 if the daemon cannot be reached; a warning is not an error.',
  positionals: {},
  options: {},
  examples: [['sudo cio credential doctor', '']],
  async run(_input, session) {
    const daemon = await askDaemon(session);
    const { diagnose } = await import('../doctor/diagnose.ts');
    const { document, text, exit } = diagnose(daemon, packageVersion(), isColoured(STDOUT));
    session.print(document, () => text);
    return exit;
  },
});
