import { CredentialError } from '../../src/errors.ts';
import { findMistakes } from '../../src/mistakes.ts';
import type { PrimarySet, SetValues } from '../../src/mistakes.ts';
import { canonicalName, parseName } from '../../src/names.ts';
import type { Finding as WireFinding, ValidateOut } from '../../src/protocol/interface.generated.ts';
import { canonicalSetName, memberName, membershipOf } from '../../src/sets.ts';
import { CHECKS, hasFailed } from '../../src/validation.ts';
import type { Finding } from '../../src/validation.ts';
import type { Caller } from '../access/caller.ts';
import { ownerOfSpace } from '../access/rules.ts';
import { findSet, viewSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { resolveUuid } from '../access/targets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';
import type { StreamingMethod } from './context.ts';

/** A set with its values, as one commit left it. */
interface Candidate {
  readonly view: SetView;
  readonly values: SetValues;
  /** Fields whose values are no text, and so of no use to any tool. */
  readonly notText: readonly string[];
  readonly primary: PrimarySet | undefined;
}

/** Tries a set out: first its values by themselves, then, in another process, the servers that they lead to. */
export const validate: StreamingMethod<'Validate'> = async function* ({ vault, prober }, caller, parameters, gone) {
  const { text, owner } = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  const { view, values, notText, primary } = vault.read((reader) => readCandidate(reader, caller, text, owner));
  const { set, provider } = view;
  let failed = false;
  const answer = (findings: readonly Finding[]): ValidateOut => {
    failed ||= hasFailed(findings);
    return { set, owner: ownerOfSpace(view.space), findings: findings.map((one) => toWire(set, one)), failed };
  };

  const shape = shapeFindings(view, values, notText, primary);
  if (shape.length > 0) yield answer(shape);
  else yield answer([{ check: 'shape', state: 'passed' }]);
  if (parameters.shapeOnly === true) return answer([]);
  if (failed || provider === undefined) {
    return answer(CHECKS.filter((check) => check !== 'shape').map((check) => skipped(check)));
  }
  const restoreOnly = parameters.restoreOnly === true;
  const job = { set, provider: provider.id, values: Object.fromEntries(values), restoreOnly };
  for await (const finding of prober.probe(job, gone)) yield answer([finding]);
  return answer([]);
};

/** @throws CredentialError `NotFound`; `InvalidName` for a credential that is in no set */
function readCandidate(reader: VaultReader, caller: Caller, text: string, owner: number | null | undefined): Candidate {
  const name = parseName(text);
  const set = membershipOf(canonicalName(name))?.set ?? canonicalSetName(name);
  const view = set === undefined ? undefined : findSet(caller, reader, set, owner);
  if (view === undefined) throw new CredentialError('NotFound', { name });
  const primarySet = view.set.replace(/_alt$/, '');
  const primary = primarySet === view.set ? undefined : viewSet(caller, reader, view.space, primarySet);
  return {
    view,
    ...readValues(reader, view),
    primary: primary && { set: primarySet, values: readValues(reader, primary).values },
  };
}

function readValues(reader: VaultReader, { members }: SetView): Pick<Candidate, 'values' | 'notText'> {
  const values = new Map<string, string>();
  const notText: string[] = [];
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (const [field, record] of members) {
    const bytes = reader.value(record, currentVersion(record).version);
    try {
      values.set(field, decoder.decode(bytes));
    } catch {
      notText.push(field);
    } finally {
      wipe(bytes);
    }
  }
  return { values, notText };
}

function shapeFindings(
  { set, provider }: SetView,
  values: SetValues,
  notText: readonly string[],
  primary: PrimarySet | undefined,
): Finding[] {
  const unreadable = notText.map((field): Finding => ({ check: 'shape', state: 'failed', reason: 'not_text', field }));
  const mistakes = findMistakes(set, provider, values, primary);
  return [...unreadable, ...mistakes.filter(({ field }) => field === undefined || !notText.includes(field))];
}

function skipped(check: Finding['check']): Finding {
  return { check, state: 'skipped', reason: 'earlier_failure', subject: 'shape' };
}

function toWire(set: string, finding: Finding): WireFinding {
  return finding.field === undefined ? finding : { ...finding, name: memberName(set, finding.field) };
}
