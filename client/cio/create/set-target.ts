import { CredentialError } from '../../../src/errors.ts';
import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { canonicalSetName, memberName, providerOf } from '../../../src/sets.ts';
import { closest } from '../../../src/closest.ts';
import { CommandError, usageError } from '../command-error.ts';
import type { Session } from '../session.ts';

/** A set that is to be created or changed, and what exists of it already. */
export interface SetTarget {
  readonly set: string;
  /** Null for the caller: their own credentials, or for an administrator the shared ones. */
  readonly owner: number | null;
  /** Existing values may be replaced. */
  readonly isReplaced: boolean;
  /** The fields that exist. */
  readonly fields: ReadonlySet<string>;
  /** The values of those that are not secret. */
  readonly publicValues: ReadonlyMap<string, string>;
  /** The provider that the name of the set or its field `provider` says. */
  readonly ownProvider: Provider | undefined;
}

/** Longest name that a message shows. A secret typed in the wrong place is usually longer. */
const SHOWN_LENGTH_MAX = 32;

/** Why Portworx's other providers are not supported. */
export const UNSUPPORTED_PROVIDERS = {
  nfs: 'an NFS server has no keys to keep; mount it, and give restic the path',
  openstack: 'openstack is not supported yet; use its EC2 credentials with s3',
} as const;

/** Returns the provider of a name. @throws CommandError `Usage` if there is none */
export function parseProvider(word: string): Provider {
  const provider = PROVIDERS.get(word);
  if (provider !== undefined) return provider;
  const known = [...PROVIDERS.keys()];
  const reason = Object.entries(UNSUPPORTED_PROVIDERS).find(([id]) => id === word)?.[1];
  if (reason !== undefined) throw usageError(`--provider ${word} is not supported`, reason);
  const guess = closest(word, known);
  const guessed = guess === undefined ? '' : `; did you mean ${guess}?`;
  throw usageError(`--provider is not a known one${guessed}`, `the providers are ${known.join(', ')}`);
}

/**
 * Returns the canonical name of a set.
 *
 * @throws CommandError `Usage` for the name of one credential, `InvalidInput` for a text that cannot name a set
 */
export function parseSetName(text: string): string {
  if (text.startsWith('cio_')) {
    throw usageError(
      'NAME is the name of one credential',
      'a set is named by what is between cio_ and the field, as in aws',
    );
  }
  const name = canonicalSetName(text);
  if (name !== undefined) return name;
  const likely = likelySetName(text);
  throw new CommandError(
    'InvalidInput',
    'NAME cannot be the name of a set',
    `it is a-z, 0-9 and _ . -, and does not end in the name of a field${likely === undefined ? '' : `; ${likely} would be one`}`,
  );
}

/** Returns the name of a set that a text resembles; undefined if there is none, or the text may be a secret. */
function likelySetName(text: string): string | undefined {
  if (text.length > SHOWN_LENGTH_MAX) return undefined;
  const likely = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .replace(/-+$/, '');
  return canonicalSetName(likely);
}

/** Finds out what exists of a set. Only credentials that the caller may change count. */
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

/** Lists the caller's set of a name: another user may have granted the caller a set of the same name. */
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
 * Chooses the provider of a set: the one in its name, else the given one. `s3`, `aws` and `minio` do not contradict
 * each other, as their fields are the same.
 *
 * @throws CommandError `Usage` if the two contradict each other
 */
export function chooseProvider({ set, ownProvider }: SetTarget, given: Provider | undefined): Provider | undefined {
  if (ownProvider === undefined || given === undefined) return ownProvider ?? given;
  if (fieldIds(ownProvider) !== fieldIds(given)) {
    throw usageError(
      `set ${set} is of provider ${ownProvider.id}, not ${given.id}`,
      'use another set name for another provider',
    );
  }
  return providerOf(set, undefined) === undefined ? given : ownProvider;
}

function fieldIds({ fields }: Provider): string {
  return fields.map(({ id }) => id).join(' ');
}

/** Returns the field `provider` and its value, if neither the name of the set nor a stored value says the provider. */
export function providerValue({ set, publicValues }: SetTarget, { id }: Provider): readonly [string, string][] {
  const isTold = providerOf(set, undefined) !== undefined || publicValues.get('provider') === id;
  return isTold ? [] : [['provider', id]];
}

/** To be called before anything is asked for, or tried out. @throws CredentialError `AlreadyExists` */
export function assertIsNew({ set, fields, isReplaced }: SetTarget, wanted: Iterable<string>): void {
  if (isReplaced) return;
  const taken = [...wanted].find((field) => fields.has(field));
  if (taken !== undefined) throw new CredentialError('AlreadyExists', { name: memberName(set, taken) });
}
