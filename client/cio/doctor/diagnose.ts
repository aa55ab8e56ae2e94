import { EXIT, type ExitCode } from '../../../src/errors.ts';
import { checkClock } from './checks/clock.ts';
import { checkCoreDumps } from './checks/core-dumps.ts';
import { checkDaemon } from './checks/daemon.ts';
import { checkHardening } from './checks/hardening.ts';
import { checkNames } from './checks/names.ts';
import { checkPlainSecrets } from './checks/plain-secrets.ts';
import { checkSlots } from './checks/slots.ts';
import { checkSockets } from './checks/sockets.ts';
import { checkStore } from './checks/store.ts';
import { checkSwap } from './checks/swap.ts';
import { checkSystemd } from './checks/systemd.ts';
import { checkUnits } from './checks/units.ts';
import type { DaemonAnswer, Facts } from './facts.ts';
import { gatherFacts } from './gather/facts.ts';
import { formatReport } from './report.ts';
import { stateOf, type CheckResult, type Verdict } from './verdict.ts';

/** All checks, in the order of the report. */
const CHECKS: readonly (readonly [id: string, title: string, check: (facts: Facts) => Verdict])[] = [
  ['daemon', 'The daemon', checkDaemon],
  ['sockets', 'Sockets', checkSockets],
  ['hardening', 'Sandbox of the daemon', checkHardening],
  ['core-dumps', 'Core dumps', checkCoreDumps],
  ['swap', 'Swap', checkSwap],
  ['store', 'The store', checkStore],
  ['slots', 'Unlock slots', checkSlots],
  ['clock', 'Clock', checkClock],
  ['systemd', 'systemd', checkSystemd],
  ['units', 'Units that load credentials', checkUnits],
  ['names', 'Names', checkNames],
  ['plain-secrets', 'Secrets in clear text', checkPlainSecrets],
];

/** The result of all checks, for programs and for people. */
export interface Diagnosis {
  readonly document: { readonly checks: readonly CheckResult[] };
  readonly text: string;
  readonly exit: ExitCode;
}

/** Gathers the facts about the host and runs every check on them. */
export function diagnose(daemon: DaemonAnswer, version: string, isColoured: boolean): Diagnosis {
  const checks = judge(gatherFacts(daemon, version));
  const isReachable = daemon.kind === 'answered' || daemon.isReachable;
  const isBad = checks.some(({ state }) => state === 'error');
  return {
    document: { checks },
    text: formatReport(checks, isColoured),
    exit: !isReachable ? EXIT.notReachable : isBad ? EXIT.failed : EXIT.done,
  };
}

/** Runs every check on the facts. */
export function judge(facts: Facts): CheckResult[] {
  return CHECKS.map(([id, title, check]) => {
    const verdict = check(facts);
    const { findings, unseen } = verdict;
    const reason = unseen.length > 0 && { reason: unseen.join('; ') };
    return { id, title, state: stateOf(verdict), findings, ...reason };
  });
}
