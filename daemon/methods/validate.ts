import { CredentialError } from '../../src/errors.ts';
import { parseName } from '../../src/names.ts';
import type { ValidateOut } from '../../src/protocol/interface.generated.ts';
import { canonicalSetName, membershipOf } from '../../src/sets.ts';
import { hasFailed } from '../../src/validation.ts';
import type { Finding } from '../../src/validation.ts';
import type { Caller } from '../access/caller.ts';
import { ownerOfSpace } from '../access/rules.ts';
import { findSet, wholeSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { requireCurrent, resolveUuid } from '../access/targets.ts';
import type { NamedTarget } from '../access/targets.ts';
import { readCandidate } from '../health/candidate.ts';
import { validateSet } from '../health/validate-set.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import type { StreamingMethod } from './context.ts';
import { findingToWire } from './finding-to-wire.ts';

/** Validates a set as it is. */
export const validate: StreamingMethod<'Validate'> = async function* (context, caller, parameters, onGone) {
  const { vault, prober, health, announcer } = context;
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner, onGone);
  const unlocked = vault.unlocked();
  const { candidate, generation } = vault.read((reader) => {
    const view = requireSet(caller, reader, named);
    const whole = countDamaged({ damaged: 0 }, () => wholeSet(reader, view.space, view.set));
    const isWhole = whole?.size === view.members.size;
    return { candidate: readCandidate(reader, caller, view), generation: isWhole ? whole.generation : undefined };
  });
  const { set, space } = candidate;
  const found: Finding[] = [];
  const answer = (findings: readonly Finding[]): ValidateOut => {
    found.push(...findings);
    const wire = findings.map((one) => findingToWire(set, one));
    return { set, owner: ownerOfSpace(space), findings: wire, failed: hasFailed(found) };
  };
  const options = {
    owner: caller,
    shapeOnly: parameters.shapeOnly === true,
    restoreOnly: parameters.restoreOnly === true,
    makeBucket: false,
    keysSuffice: false,
  };
  for await (const findings of validateSet(prober, candidate, options, onGone)) yield answer(findings);
  // The findings for a caller who sees only a part of the set say nothing of the whole.
  if (generation !== undefined && !options.shapeOnly) {
    const change = await health.record({ space, set, generation, findings: found, unlocked });
    if (change !== undefined) announcer.observe(change, caller.isAdministrator);
  }
  return answer([]);
};

/**
 * Returns the set that a target names, or that the credential of that name belongs to.
 *
 * @throws CredentialError `NotFound`, also for a credential that is in no set; `InvalidName`; `Busy` if the target was a
 *   UUID, and a copy of another store was restored since
 */
function requireSet(caller: Caller, reader: VaultReader, named: NamedTarget): SetView {
  const { text, owner, isSet } = named;
  requireCurrent(named);
  const name = parseName(text);
  const set = (isSet ? undefined : membershipOf(name)?.set) ?? canonicalSetName(name);
  const view = set === undefined ? undefined : findSet(caller, reader, set, owner);
  if (view === undefined) throw new CredentialError('NotFound', { name });
  return view;
}
