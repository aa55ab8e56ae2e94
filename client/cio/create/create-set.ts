import { EXIT, type ExitCode } from '../../../src/errors.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { usageError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { readEnvironment } from './from-environment.ts';
import { fieldsOfFlags, readFlags, refuseUnsupported } from './from-flags.ts';
import { askFields, askProvider, assertCanAsk, confirmRetry, confirmValues } from './from-questions.ts';
import { checkValues, isKeyField, type GivenValues } from './given-values.ts';
import { givenFieldOptions, type SetOptions } from './options.ts';
import { assertIsNew, chooseProvider, findTarget, parseProvider, parseSetName, type SetTarget } from './set-target.ts';
import { storeSet } from './store-set.ts';

/** The command line of `create` for a whole set. */
export interface SetRequest {
  readonly name: string | undefined;
  readonly options: SetOptions & { readonly 'from-file': string | undefined; readonly replace: boolean };
  readonly owner: number | null;
}

/** Source of most of the fields; options for single fields can be combined with each. */
type Source = 'environment' | 'file' | 'options' | 'questions';

/** Creates a set, or changes the given fields of one. All of them are stored, or none. */
export async function createSet(session: Session, request: SetRequest): Promise<ExitCode> {
  const { options, owner } = request;
  refuseUnsupported(options);
  const asked = options.provider === undefined ? undefined : parseProvider(options.provider);
  const source = sourceOf(options);
  if (source === 'questions') assertCanAsk(session);
  const set = parseSetName(request.name ?? (await askName(session)));
  const target = await findTarget(session, set, { owner, replace: options.replace });
  const file = await readFile(options, chooseProvider(target, asked));
  const provider = chooseProvider(target, asked ?? file.provider) ?? (await providerByMenu(session, options));
  const given = await collect(session, { target, provider, source, options, fromFile: file.values });
  const isUntried = options['no-validate'];
  if (source === 'questions') return storeAnswers(session, { target, provider, given, isUntried });
  if (given.size === 0) throw usageError('no field is given', 'cio credential create --help shows the options');
  checkValues(provider, given);
  assertIsNew(target, given.keys());
  const makeBucket = source === 'options' && target.fields.size === 0 && !given.has('bucket');
  return storeSet(session, { target, provider, values: given, isUntried, makeBucket });
}

interface AnswersRequest {
  readonly target: SetTarget;
  readonly provider: Provider;
  readonly given: GivenValues;
  readonly isUntried: boolean;
}

/** Stores what the user answers. After a failed trial, the user may correct the answers. */
async function storeAnswers(session: Session, request: AnswersRequest): Promise<ExitCode> {
  const { target, provider, given, isUntried } = request;
  for (let values = given; ;) {
    values = await askFields(session, { target, provider, given, before: values });
    checkValues(provider, values);
    assertIsNew(target, values.keys());
    await confirmValues(session, provider, values);
    const exit = await storeSet(session, { target, provider, values, isUntried, makeBucket: false });
    if (exit !== EXIT.validationFailed || session.isJson || !(await confirmRetry(session))) return exit;
  }
}

/** Returns the source that the options name. @throws CommandError `Usage` if they name two */
function sourceOf(options: SetRequest['options']): Source {
  const named = [
    options['from-env'] && '--from-env',
    options['from-file'] !== undefined && '--from-file',
    options.ask && '--ask',
  ];
  const [first, second] = named.filter((name) => name !== false);
  if (second !== undefined) throw usageError(`${first} and ${second} exclude each other`);
  if (options.profile !== undefined && options['from-file'] === undefined) {
    throw usageError('--profile is for --from-file', 'it names a section of the file');
  }
  if (options['from-env']) return 'environment';
  if (options['from-file'] !== undefined) return 'file';
  return options.ask || givenFieldOptions(options).length === 0 ? 'questions' : 'options';
}

interface FileContent {
  readonly provider: Provider | undefined;
  readonly values: GivenValues;
}

async function readFile(options: SetRequest['options'], provider: Provider | undefined): Promise<FileContent> {
  const path = options['from-file'];
  if (path === undefined) return { provider: undefined, values: new Map() };
  const { readSetFile } = await import('./from-file.ts');
  return readSetFile(path, provider, options.profile);
}

async function askName(session: Session): Promise<string> {
  if (!session.prompter.canAsk) throw usageError('NAME is missing', 'usage: cio credential create --provider ID NAME');
  return session.prompter.ask('Name of the set', { isHidden: false });
}

async function providerByMenu(session: Session, options: SetOptions): Promise<Provider> {
  if (session.prompter.canAsk && !options['from-env']) return askProvider(session);
  throw usageError('the provider of the set is missing', 'give it, as in --provider s3');
}

interface CollectRequest {
  readonly target: SetTarget;
  readonly provider: Provider;
  readonly source: Source;
  readonly options: SetOptions;
  readonly fromFile: GivenValues;
}

/** Collects all values but those to be asked for. An option overrides what the environment or the file says. */
async function collect(
  session: Session,
  { target, provider, source, options, fromFile }: CollectRequest,
): Promise<GivenValues> {
  const named = new Set(fieldsOfFlags(provider, options));
  const fromEnvironment =
    source === 'environment'
      ? readEnvironment(provider, process.env, (field) => {
          return (
            named.has(field.id) || (options['use-iam'] && field.isReplacedByIdentity === true && isKeyField(field))
          );
        })
      : new Map();
  const first: GivenValues = new Map([...fromEnvironment, ...fromFile]);
  assertIsNew(target, first.keys());
  const flags = await readFlags(session, target, provider, options, source === 'options');
  return new Map([...first, ...flags]);
}
