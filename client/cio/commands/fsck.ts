import { EXIT } from '../../../src/errors.ts';
import type { FsckOut, Problem } from '../../../src/protocol/interface.generated.ts';
import { defineCommand, YES_OPTION, type Command } from '../command.ts';
import { assertConfirmed } from '../confirm.ts';
import type { Session } from '../session.ts';
import { formatTableOrRecords } from '../table.ts';
import { terminalWidth } from '../terminal.ts';
import { formatCount } from '../text.ts';
import { WHOLE_STORE_TIMEOUT_MS } from '../timeouts.ts';

/** Checks every record of the store. */
export const FSCK: Command = defineCommand({
  name: 'fsck',
  operation: 'Check store',
  summary: 'Read and check every record of the store',
  details: 'Exit code 10 if something is damaged. --repair drops what cannot be read, and keeps the rest.',
  positionals: {},
  options: { repair: { type: 'boolean', describe: 'Drop what is damaged' }, ...YES_OPTION },
  examples: [['cio credential fsck', '']],
  async run({ options }, session) {
    if (options.repair && !options.yes) await assertConfirmed(session, 'Drop every record that cannot be read?');
    using _progress = session.progress('Checking every record');
    const call = { repair: options.repair };
    const reply = await session.withClient((client) => client.call('Fsck', call), WHOLE_STORE_TIMEOUT_MS);
    report(session, reply);
    if (reply.problems.length === 0 || reply.repaired) return EXIT.done;
    return reply.problems.every(({ what }) => what === 'unchecked') ? EXIT.failed : EXIT.damaged;
  },
});

function report(session: Session, reply: FsckOut): void {
  const { records, problems, repaired } = reply;
  if (problems.length === 0) {
    session.succeed(reply, 'Check store', `${formatCount(records, 'record')}, all of them good`);
    return;
  }
  session.print(reply, () => formatProblems(problems));
  if (session.isJson) return;
  const found = formatCount(problems.length, 'problem');
  if (repaired) session.succeed(reply, 'Check store', `${found} repaired`);
  else session.note(`${found} in ${formatCount(records, 'record')}. ${nextStep(problems)}`);
}

/**
 * Suggests the next step. Not --repair if pages are damaged: it would treat records that cannot be found as deleted.
 */
function nextStep(problems: readonly Problem[]): string {
  if (problems.some(({ what }) => what === 'unchecked')) return 'Not everything was checked, and nothing was repaired.';
  return problems.some(({ what }) => what === 'page')
    ? 'Pages of the file are damaged; cio-credentiald --salvage recovers what is on the others: docs/disaster-recovery.md'
    : '--repair drops what cannot be read.';
}

function formatProblems(problems: readonly Problem[]): string {
  const columns = ['PROBLEM', 'NAME', 'VERSION', 'DETAIL'].map((title) => ({ title }));
  const rows = problems.map(({ what, name, version, detail }) => [what, name ?? '-', `${version ?? '-'}`, detail]);
  return formatTableOrRecords(columns, rows, terminalWidth());
}
