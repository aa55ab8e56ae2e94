import type { ExportedCredential } from '../export-format.ts';
import { invalidValueReason } from '../field-check.ts';
import { ITEMS_PER_CALL_MAX } from '../limits.ts';
import { parseName } from '../names.ts';
import type { Provider } from '../providers/provider.ts';
import { fieldOf, S3_PROVIDER_IDS } from '../providers/registry.ts';
import { canonicalSetName, memberName, membershipOf, providerOf } from '../sets.ts';
import type { Found, FoundSet, Skipped } from './found.ts';
import { ImportError } from './import-error.ts';
import { alternateOf, setNameOf } from './set-name.ts';

/** A file that was read. */
export interface SourceFile {
  /** The name shown to the user. */
  readonly name: string;
  readonly found: Found;
  /** The names of all texts, if the reader takes several. */
  readonly texts?: readonly string[];
}

/** The options of an import. */
export interface PlanOptions {
  /** The name for the set, of which there has to be exactly one. */
  readonly set: string | undefined;
  readonly provider: Provider | undefined;
  /** Import only the profile, alias or remote of this name. */
  readonly profile: string | undefined;
  /** Import sets as alternates: `aws` becomes `aws_alt`. */
  readonly asAlternate: boolean;
}

/** A credential that is to be stored, and where it comes from. */
export interface PlannedCredential {
  readonly credential: ExportedCredential;
  readonly source: string;
  readonly line: number | undefined;
  /** The line of the value; `line` is that of its set. */
  readonly valueLine?: number | undefined;
}

export interface Plan {
  /** In the order of the files. Names are canonical and unique. */
  readonly credentials: readonly PlannedCredential[];
  readonly skipped: readonly (Skipped & { readonly source: string })[];
  /** The names of the files that contain secrets of these credentials. */
  readonly secretSources: ReadonlySet<string>;
}

/**
 * Decides which credentials an import stores, and under which names.
 *
 * @throws ImportError if two credentials would get the same name, among other reasons; with the file if it concerns one
 */
export function planImport(files: readonly SourceFile[], options: PlanOptions): Plan {
  const sets = files.flatMap(({ name, found, texts = [name] }) =>
    found.sets.map((set) => ({ ...set, source: name, secretSources: secretSourcesOf(set, name, texts) })),
  );
  const wanted =
    options.profile === undefined ? sets : sets.filter(({ label }) => (label ?? 'default') === options.profile);
  const isPicked = options.profile !== undefined;
  if (isPicked && wanted.length === 0) {
    throw new ImportError(
      undefined,
      `there is nothing to import of that name; there are ${
        sets
          .map(({ label }) => label ?? 'default')
          .slice(0, 20)
          .join(', ') || 'none'
      }`,
    );
  }
  const loose = isPicked
    ? []
    : files.flatMap(({ name, found }) => found.credentials.map((own) => ({ ...own, source: name })));
  // If nothing was found, do not complain about --set: the caller reports why nothing can be imported.
  const single = wanted.length + loose.length === 0 ? undefined : singleName(options.set, wanted.length);
  const credentials = [...wanted.flatMap((found) => planSet(found, found.source, single, options)), ...loose].map(
    (planned) => (options.asAlternate ? asAlternate(planned) : planned),
  );
  assertUnique(credentials);
  assertValues(credentials);
  if (credentials.length > ITEMS_PER_CALL_MAX) {
    throw new ImportError(
      undefined,
      `it has ${credentials.length} credentials, more than the ${ITEMS_PER_CALL_MAX} of one commit; --profile picks one`,
    );
  }
  const skipped = files.flatMap(({ name, found }) => found.skipped.map((item) => ({ ...item, source: name })));
  const ofLoose = loose.filter(({ credential: { name } }) => isSecret(membershipOf(name)?.field));
  const secretSources = new Set([
    ...wanted.flatMap((found) => found.secretSources),
    ...ofLoose.map(({ source }) => source),
  ]);
  return { credentials, skipped, secretSources };
}

function secretSourcesOf({ values, secretTexts }: FoundSet, source: string, texts: readonly string[]): string[] {
  if (secretTexts !== undefined) return secretTexts.flatMap((index) => texts[index] ?? []);
  return [...values.keys()].some(isSecret) ? [source] : [];
}

/** @param field undefined for a credential that belongs to no set, which counts as secret */
function isSecret(field: string | undefined): boolean {
  return field === undefined || fieldOf(field, undefined)?.isSecret !== false;
}

function singleName(asked: string | undefined, count: number): string | undefined {
  if (asked === undefined) return undefined;
  if (count !== 1) throw new ImportError(undefined, `--set names one set, but there are ${count}; --profile picks one`);
  const name = canonicalSetName(asked);
  if (name === undefined)
    throw new ImportError(undefined, 'the name given with --set cannot be that of a set: a-z, 0-9 and _ . -');
  return name;
}

function planSet(
  found: FoundSet,
  source: string,
  asked: string | undefined,
  options: PlanOptions,
): PlannedCredential[] {
  const { line, label } = found;
  const provider = chooseProvider(found, source, options.provider);
  const name = asked ?? canonicalSetName(nameOf(provider, label));
  if (name === undefined)
    throw new ImportError(
      line,
      'its name in the file cannot be that of a set; pick it with --profile, and name it with --set',
      source,
    );
  const ofName = providerOf(name, undefined);
  const isSame = ofName?.id === provider.id;
  if (ofName !== undefined && !isSame && !(S3_PROVIDER_IDS.has(ofName.id) && S3_PROVIDER_IDS.has(provider.id))) {
    throw new ImportError(
      line,
      `a set called ${name} is for ${ofName.id}, but the keys are for ${provider.id}; give it another name with --set`,
      source,
    );
  }
  const own = ofName === undefined ? [['provider', provider.id] as const] : [];
  return [...found.values, ...own].map(([field, value]) => ({
    credential: { name: memberName(name, field), value },
    source,
    line,
    valueLine: found.lines?.get(field),
  }));
}

/** Returns the name for a set. A label that is already the name of a set of this provider stays as it is. */
function nameOf(provider: Provider, label: string | undefined): string {
  const isOwn =
    label !== undefined && canonicalSetName(label) !== undefined && providerOf(label, undefined)?.id === provider.id;
  return isOwn ? label : setNameOf(provider.id, label);
}

function chooseProvider({ provider, line, values }: FoundSet, source: string, asked: Provider | undefined): Provider {
  if (asked === undefined || asked === provider) return provider;
  const ids = new Set(asked.fields.map(({ id }) => id));
  if (
    S3_PROVIDER_IDS.has(asked.id) &&
    S3_PROVIDER_IDS.has(provider.id) &&
    [...values.keys()].every((id) => ids.has(id))
  )
    return asked;
  throw new ImportError(line, `the keys are for ${provider.id}, not for ${asked.id}`, source);
}

function asAlternate(planned: PlannedCredential): PlannedCredential {
  const member = membershipOf(planned.credential.name);
  if (member === undefined) return planned;
  const name = memberName(alternateOf(member.set), member.field);
  return { ...planned, credential: { ...planned.credential, name: parseName(name) } };
}

function assertUnique(credentials: readonly PlannedCredential[]): void {
  const seen = new Map<string, PlannedCredential>();
  for (const planned of credentials) {
    const { name } = planned.credential;
    const earlier = seen.get(name);
    if (earlier !== undefined) {
      const what = membershipOf(name)?.set;
      throw new ImportError(
        planned.line,
        `${what === undefined ? name : `set ${what}`} comes from ${placeOf(earlier)} already; import them one by one, with --profile and --set`,
        planned.source,
      );
    }
    seen.set(name, planned);
  }
}

/** Checks the values that the daemon would check later, so that the error can name the file and the line. */
function assertValues(credentials: readonly PlannedCredential[]): void {
  const texts = new Map(
    credentials.map(({ credential }) => [credential.name, 'value' in credential ? credential.value : undefined]),
  );
  for (const planned of credentials) {
    const { name } = planned.credential;
    const set = membershipOf(name)?.set;
    if (set === undefined) continue;
    const reason = invalidValueReason(name, () => texts.get(name), texts.get(memberName(set, 'provider')));
    if (reason === undefined) continue;
    throw new ImportError(
      planned.valueLine ?? planned.line,
      `the value of ${name} is not valid: ${reason}`,
      planned.source,
    );
  }
}

/** Formats a place as "FILE, line 7". */
export function placeOf({ source, line }: { readonly source: string; readonly line: number | undefined }): string {
  return line === undefined ? source : `${source}, line ${line}`;
}
