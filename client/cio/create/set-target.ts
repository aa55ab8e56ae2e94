import { CredentialError } from '../../../src/errors.ts';
import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { canonicalSetName, memberName, providerOf } from '../../../src/sets.ts';
import { closest } from '../../../src/closest.ts';
import { CommandError, usageError } from '../command-error.ts';
import type { Session } from '../session.ts';

/** A set that is to be made or changed, and what of it is there already. */
export interface SetTarget {
  readonly set: string;
  /** Null: the caller's own, or the shared ones. */
  readonly owner: number | null;
  /** Existing values of a set are replaced. */
  readonly isReplaced: boolean;
  /** The fields that are there. */
  readonly fields: ReadonlySet<string>;
  /** The values of those that are no secret. */
  readonly publicValues: ReadonlyMap<string, string>;
  /** What the set says by itself, or by its field `provider`. */
  readonly ownProvider: Provider | undefined;
}

/** Longest name that is shown in a message: a secret in the wrong place is longer. */
const SHOWN_LENGTH_MAX = 32;

/** Why Portworx's other providers are none here. */
export const UNSUPPORTED_PROVIDERS = {
  nfs: 'a server of NFS has no keys to keep; mount it, and give restic the path',
  openstack: 'there is no openstack yet; its EC2 credentials are keys for s3',
} as const;

/** @throws CommandError `Usage` for a word that is no provider */
export function parseProvider(word: string): Provider {
  const provider = PROVIDERS.get(word);
  if (provider !== undefined) return provider;
  const known = [...PROVIDERS.keys()];
  const reason = Object.entries(UNSUPPORTED_PROVIDERS).find(([id]) => id === word)?.[1];
  if (reason !== undefined) throw usageError(`--provider ${word} is not supported`, reason);
  const guess = closest(word, known);
  const guessed = guess === undefined ? '' : `; did you mean ${guess}?`;
  throw usageError(`--provider names none that is known${guessed}`, `there are ${known.join(', ')}`);
}

/**
 * The name of a set.
 *
 * @throws CommandError `Usage` for the name of one credential, `InvalidInput` for what can name no set
 */
export function parseSetName(text: string): string {
  if (text.startsWith('cio_')) {
    throw usageError('NAME is that of one credential', 'a set has the name between cio_ and its fields, as in aws');
  }
  const name = canonicalSetName(text);
  if (name !== undefined) return name;
  const likely = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .replace(/-+$/, '');
  const isShown = text.length <= SHOWN_LENGTH_MAX && canonicalSetName(likely) !== undefined;
  throw new CommandError(
    'InvalidInput',
    'NAME can be no name of a set',
    `it is a-z, 0-9 and _ . -, and does not end in the name of a field${isShown ? `; ${likely} would be one` : ''}`,
  );
}

/** Looks at what there is of a set; only what the caller may change counts. */
export async function findTarget(
  session: Session,
  set: string,
  { owner, replace }: { readonly owner: number | null; readonly replace: boolean },
): Promise<SetTarget> {
  const { credentials, view } = await findSet(session, set, owner);
  const publicValues = new Map(
    credentials.flatMap(({ field, value }) =>
      typeof field === 'string' && typeof value === 'string' ? ([[field, value]] as const) : [],
    ),
  );
  return {
    set,
    owner,
    isReplaced: replace,
    fields: new Set(credentials.flatMap(({ field }) => field ?? [])),
    publicValues,
    ownProvider: providerOf(set, view?.provider ?? undefined),
  };
}

/** A set as it is: that of the caller, for one of the same name may be somebody else's, and granted to him. */
export async function findSet(
  session: Session,
  set: string,
  owner: number | null,
): Promise<{ readonly credentials: readonly Credential[]; readonly view: CredentialSet | undefined }> {
  const reply = await session.withClient((client) => client.call('List', { patterns: [set], owner }));
  const credentials = reply.credentials.filter((one) => one.set === set && one.writable);
  const view = reply.sets.find((one) => one.set === set && one.owner === credentials[0]?.owner);
  return { credentials, view };
}

/**
 * The provider of a set that is to be made: what its name says, else what was given. Names of sets and `s3`, `aws` and
 * `minio` go together in any way: their fields are the same.
 *
 * @throws CommandError `Usage` where two say different things
 */
export function chooseProvider({ set, ownProvider }: SetTarget, given: Provider | undefined): Provider | undefined {
  if (ownProvider === undefined || given === undefined) return ownProvider ?? given;
  if (fieldIds(ownProvider) !== fieldIds(given)) {
    throw usageError(
      `set ${set} is of provider ${ownProvider.id}, not ${given.id}`,
      'another provider takes a set of another name',
    );
  }
  return providerOf(set, undefined) === undefined ? given : ownProvider;
}

function fieldIds({ fields }: Provider): string {
  return fields.map(({ id }) => id).join(' ');
}

/** The value that tells the provider of the set, where its name does not and it is not there yet. */
export function providerValue({ set, publicValues }: SetTarget, { id }: Provider): readonly [string, string][] {
  const isTold = providerOf(set, undefined) !== undefined || publicValues.get('provider') === id;
  return isTold ? [] : [['provider', id]];
}

/** @throws CredentialError `AlreadyExists`; to be called before anything is asked for, or tried out */
export function assertIsNew({ set, fields, isReplaced }: SetTarget, wanted: Iterable<string>): void {
  if (isReplaced) return;
  const taken = [...wanted].find((field) => fields.has(field));
  if (taken !== undefined) throw new CredentialError('AlreadyExists', { name: memberName(set, taken) });
}
