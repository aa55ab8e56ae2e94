import { probe } from '../../../daemon/prober/probe.ts';
import { hostServicesOf, type HostServices } from '../../../daemon/prober/host-services.ts';
import type { CheckId, Finding, ProbeJob } from '../../../src/validation.ts';
import type { Lookup } from '../../../daemon/prober/network/resolve.ts';
import type { Scope } from '../../support/scope.ts';
import { toThisHost } from './stub-server.ts';

/** A valid set whose server does not exist. */
export const VALUES = {
  backup_repo: 's3:http://127.0.0.1:1/bucket-1',
  access_key: 'AKIAIOSFODNN7EXAMPLE',
  secret_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  backup_password: 'a password',
} as const;

export function jobOf(values: Readonly<Record<string, string>> = {}, rest: Partial<ProbeJob> = {}): ProbeJob {
  return {
    set: 's3',
    provider: 's3',
    restoreOnly: false,
    makeBucket: false,
    ...rest,
    values: { ...VALUES, ...values },
  };
}

/** Returns a scope for a whole suite: node:test ends clean-ups registered in a hook together with the hook. */
export function suiteScope(after: (cleanUp: () => Promise<void>) => void): Scope {
  const cleanUps: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });
  return { after: (cleanUp) => void cleanUps.push(cleanUp) };
}

/** Returns all findings, without their durations. */
export async function findingsOf(
  job: ProbeJob,
  options: { readonly signal?: AbortSignal } & Partial<HostServices> = {},
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { signal = new AbortController().signal, ...own } = options;
  const hostServices = { ...hostServicesOf(), ...own };
  for await (const { ms: _ms, ...finding } of probe(job, signal, hostServices)) findings.push(finding);
  return findings;
}

/** Probes a set of one provider. */
export type Find = (
  values: Readonly<Record<string, string>>,
  rest?: { readonly restoreOnly?: boolean; readonly makeBucket?: boolean; readonly lookup?: Lookup },
) => Promise<Finding[]>;

/**
 * Returns a function that probes sets of a provider and returns all findings. Fields that a test does not give have
 * the values of `valid`, and unless a test gives a lookup, every name leads to this machine.
 */
export function finderOf(provider: ProbeJob['provider'], valid: Readonly<Record<string, string>>): Find {
  return (values, { restoreOnly = false, makeBucket = false, lookup = toThisHost } = {}) => {
    const job = { set: provider, provider, restoreOnly, makeBucket, values: { ...valid, ...values } };
    return findingsOf(job, { lookup });
  };
}

/** Returns a failed finding, for comparisons. */
export function failed(
  check: Finding['check'],
  reason: Finding['reason'],
  rest: Partial<Finding> = {},
): Partial<Finding> {
  return { check, state: 'failed', reason, ...rest } as Finding;
}

/** Returns the first failed check. */
export function failureIn(findings: readonly Finding[]): Finding | undefined {
  return findings.find(({ state }) => state === 'failed');
}

/** Returns the only finding of a check. */
export function findingFor(findings: readonly Finding[], check: CheckId): Finding {
  const [finding, ...others] = findings.filter((finding) => finding.check === check);
  if (finding === undefined || others.length > 0)
    throw new Error(`${check} was found ${1 + others.length} times or never`);
  return finding;
}

/** Returns the checks in one state, for comparisons. */
export function checksIn(findings: readonly Finding[], state: Finding['state']): CheckId[] {
  return findings.filter((finding) => finding.state === state).map(({ check }) => check);
}
