import { EXIT } from '../../../src/errors.ts';
import { planImport, type Plan, type PlanOptions, type SourceFile } from '../../../src/import/plan.ts';
import type { Finding, SavedCredential } from '../../../src/protocol/interface.generated.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { encodeText } from '../../value.ts';
import { CommandError, usageError } from '../command-error.ts';
import { assertConfirmed } from '../confirm.ts';
import type { Session } from '../session.ts';
import { formatPreview, previewOf, type ImportPreview } from './preview.ts';
import { defaultFiles, fileExists } from './default-files.ts';
import { inFile, parseFormat, readTexts } from './read-files.ts';
import { readSource, type SourceText } from './read-source.ts';
import { tryOut } from './try-out.ts';

const OPERATION = 'Import credentials';

export interface ImportOptions {
  readonly owner: number | null;
  readonly format: string | undefined;
  readonly asAlternate: boolean;
  readonly isDryRun: boolean;
  readonly replace: boolean;
  readonly provider: string | undefined;
  readonly set: string | undefined;
  readonly profile: string | undefined;
  /** Path of a file with age identities. */
  readonly identity: string | undefined;
  readonly validate: boolean;
  readonly isConfirmed: boolean;
}

/** Reads files, shows what is imported from them, stores it as one generation, and returns the exit code. */
export async function importFiles(session: Session, paths: readonly string[], options: ImportOptions): Promise<number> {
  const format = parseFormat(options.format);
  const provider = parseProvider(options.provider);
  const isLookingAround = paths.length === 0;
  const texts: SourceText[] = [];
  for (const path of isLookingAround ? existingDefaultFiles() : new Set(paths)) {
    texts.push(await readSource(session, path, options.identity));
  }
  const plan = planOf(readTexts(texts, format), { ...options, provider });
  const preview = await previewOf(session, plan, options.owner);
  if (options.isDryRun) {
    session.print({ dryRun: true, ...preview }, () => formatPreview(preview));
    tellNotImported(session, preview);
    return EXIT.done;
  }
  if (isLookingAround) await confirm(session, preview, options.isConfirmed);
  else tellNotImported(session, preview);
  if (plan.credentials.length === 0) {
    throw new CommandError('NoValue', 'there is nothing that can be imported', 'nothing was stored');
  }
  const { generation, saved } = await store(session, plan, options);
  // Reported before the sets are tried out: that may fail in many ways, but they are stored all the same.
  if (!session.isJson) tellStored(session, preview);
  const findings =
    options.validate || options.asAlternate
      ? await tryOut(session, preview, options.owner)
      : new Map<string, readonly Finding[]>();
  if (session.isJson) {
    session.printDocument({ generation, saved, ...preview, findings: Object.fromEntries(findings) });
  }
  tellOfFiles(session, texts, plan);
  const isFailed = [...findings.values()].some((found) => found.some(({ state }) => state === 'failed'));
  return isFailed ? EXIT.validationFailed : EXIT.done;
}

function parseProvider(id: string | undefined): Provider | undefined {
  const provider = PROVIDERS.get(id ?? '');
  if (id !== undefined && provider === undefined) {
    throw usageError('--provider is not a known one', `the providers are ${[...PROVIDERS.keys()].join(', ')}`);
  }
  return provider;
}

/** @throws CommandError `NoValue` where there are none */
function existingDefaultFiles(): string[] {
  const files = defaultFiles(process.env);
  const existing = files.filter((file) => fileExists(file) === true).map(({ path }) => path);
  if (existing.length > 0) return existing;
  const isClosed = files.some((file) => fileExists(file) === undefined);
  if (files.length === 0) {
    throw new CommandError(
      'NoValue',
      'HOME is not set, so the files of other tools cannot be found',
      'name one: cio credential import PATH',
    );
  }
  const looked = [...new Set(files.map(({ tool }) => tool))].join(', ');
  throw new CommandError(
    'NoValue',
    `there is no file with credentials where ${looked} keep theirs`,
    `${isClosed ? 'HOME, or a folder in it, is closed to this user; ' : ''}name one: cio credential import PATH`,
  );
}

function planOf(files: readonly SourceFile[], options: PlanOptions): Plan {
  const [first] = files;
  return inFile(files.length === 1 && first !== undefined ? first.name : 'the files', () => planImport(files, options));
}

/** Shows what was found in the usual places and asks for confirmation: the user did not name these files. */
async function confirm(session: Session, preview: ImportPreview, isConfirmed: boolean): Promise<void> {
  if (!session.isJson) for (const row of formatPreview(preview).trimEnd().split('\n')) session.note(row);
  tellNotImported(session, preview);
  if (preview.sets.length === 0 && preview.credentials.length === 0) return;
  if (!isConfirmed) await assertConfirmed(session, 'Store these?');
}

function tellNotImported(session: Session, { notImported }: ImportPreview): void {
  if (session.isJson) return;
  for (const { what, reason, source } of notImported) session.note(`Not imported: ${what} (${source}): ${reason}`);
}

async function store(
  session: Session,
  plan: Plan,
  { replace, owner }: ImportOptions,
): Promise<{ readonly generation: number; readonly saved: readonly SavedCredential[] }> {
  const credentials = plan.credentials.map(({ credential }) =>
    'value' in credential ? { name: credential.name, ...encodeText(credential.value) } : credential,
  );
  return session.withClient((client) => client.call('Create', { credentials, replace, owner }));
}

function tellStored(session: Session, { sets, credentials }: ImportPreview): void {
  for (const { set, fields } of sets) session.succeed(undefined, OPERATION, `Set ${set} saved: ${fields.join(', ')}`);
  for (const { name } of credentials) session.succeed(undefined, OPERATION, `Credential ${name} saved`);
  for (const { set, missing } of sets) {
    const [first] = missing;
    if (first === undefined) continue;
    session.note(`Note: set ${set} lacks ${missing.join(', ')}: cio credential create cio_${set}_${first}`);
  }
}

/** Tells the user about files that still have the imported secrets in clear text. */
function tellOfFiles(session: Session, texts: readonly SourceText[], { secretSources }: Plan): void {
  if (session.isJson) return;
  const withSecrets = texts.filter(({ name }) => secretSources.has(name));
  for (const { name, openMode } of withSecrets) {
    if (openMode === undefined) continue;
    session.note(
      `Warning: ${name} was readable by others (mode ${openMode.toString(8).padStart(4, '0')}): rotate its keys.`,
    );
  }
  const plain = withSecrets.filter(({ isPlainFile }) => isPlainFile).map(({ name }) => name);
  if (plain.length === 0) return;
  session.note(
    `Note: the secrets are still in clear text in ${plain.join(', ')}. Once nothing reads them there: shred -u FILE`,
  );
}
