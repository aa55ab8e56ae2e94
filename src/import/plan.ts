import type { ExportedCredential } from '../export-format.ts';
import { refusalOfValue } from '../field-check.ts';
import { ITEMS_PER_CALL_MAX } from '../limits.ts';
import { parseName } from '../names.ts';
import type { Provider } from '../providers/provider.ts';
import { fieldOf, S3_PROVIDER_IDS } from '../providers/registry.ts';
import { canonicalSetName, memberName, membershipOf, providerOf } from '../sets.ts';
import type { Found, FoundSet, LeftOut } from './found.ts';
import { ImportError } from './import-error.ts';
import { alternateOf, setNameOf } from './set-name.ts';

/** A file that was read. */
export interface SourceFile {
  /** As it is shown. */
  readonly name: string;
  readonly found: Found;
  /** Where its reader takes several texts: the names of all. */
  readonly texts?: readonly string[];
}

/** How the caller wants it. */
export interface PlanOptions {
  /** The name of the one set that there is. */
  readonly set: string | undefined;
  readonly provider: Provider | undefined;
  /** Only what the file calls like this. */
  readonly profile: string | undefined;
  /** Sets stand in for those of another place: `aws` becomes `aws_alt`. */
  readonly asAlternate: boolean;
}

/** A credential that is to be stored, and where it came from. */
export interface PlannedCredential {
  readonly credential: ExportedCredential;
  readonly source: string;
  readonly line: number | undefined;
  /** That of the value, where `line` is that of its set. */
  readonly valueLine?: number | undefined;
}

export interface Plan {
  /** In the order of the files; names are canonical, none is there twice. */
  readonly credentials: readonly PlannedCredential[];
  readonly leftOut: readonly (LeftOut & { readonly source: string })[];
  /** The files that have secrets of these credentials. */
  readonly secretSources: ReadonlySet<string>;
}

/**
 * What would become what. Nothing is decided for the caller where two things would get one name.
 *
 * @throws ImportError, with the file where it is about one
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
      `there is nothing to import that is called so; there are ${
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
  // Where there is nothing at all, it is told why.
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
  const leftOut = files.flatMap(({ name, found }) => found.leftOut.map((left) => ({ ...left, source: name })));
  const ofLoose = loose.filter(({ credential: { name } }) => isSecret(membershipOf(name)?.field));
  const secretSources = new Set([
    ...wanted.flatMap((found) => found.secretSources),
    ...ofLoose.map(({ source }) => source),
  ]);
  return { credentials, leftOut, secretSources };
}

function secretSourcesOf({ values, secretTexts }: FoundSet, source: string, texts: readonly string[]): string[] {
  if (secretTexts !== undefined) return secretTexts.flatMap((index) => texts[index] ?? []);
  return [...values.keys()].some(isSecret) ? [source] : [];
}

/** @param field undefined for what is in no set */
function isSecret(field: string | undefined): boolean {
  return field === undefined || fieldOf(field, undefined)?.isSecret !== false;
}

function singleName(asked: string | undefined, count: number): string | undefined {
  if (asked === undefined) return undefined;
  if (count !== 1)
    throw new ImportError(undefined, `--set names one set, and there are ${count} to name; --profile picks one`);
  const name = canonicalSetName(asked);
  if (name === undefined)
    throw new ImportError(undefined, 'the name given by --set cannot be that of a set: a-z, 0-9 and _ . -');
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
      'what it is called makes no name of a set; pick it by --profile, and name it by --set',
      source,
    );
  const ofName = providerOf(name, undefined);
  const isSame = ofName?.id === provider.id;
  if (ofName !== undefined && !isSame && !(S3_PROVIDER_IDS.has(ofName.id) && S3_PROVIDER_IDS.has(provider.id))) {
    throw new ImportError(
      line,
      `a set called ${name} is one of ${ofName.id}, and the keys are for ${provider.id}; --set names it otherwise`,
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

/** A name that is one of the provider's sets already, as an object's in a file can be, stays. */
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

/** What the daemon would refuse when it is stored, it is said here, with the place. */
function assertValues(credentials: readonly PlannedCredential[]): void {
  const texts = new Map(
    credentials.map(({ credential }) => [credential.name, 'value' in credential ? credential.value : undefined]),
  );
  for (const planned of credentials) {
    const { name } = planned.credential;
    const set = membershipOf(name)?.set;
    if (set === undefined) continue;
    const reason = refusalOfValue(name, () => texts.get(name), texts.get(memberName(set, 'provider')));
    if (reason === undefined) continue;
    throw new ImportError(
      planned.valueLine ?? planned.line,
      `the value of ${name} is not valid: ${reason}`,
      planned.source,
    );
  }
}

/** "FILE, line 7". */
export function placeOf({ source, line }: { readonly source: string; readonly line: number | undefined }): string {
  return line === undefined ? source : `${source}, line ${line}`;
}
