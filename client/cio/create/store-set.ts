import { CredentialError, EXIT, type ExitCode } from '../../../src/errors.ts';
import type {
  Finding,
  ProveOut,
  SavedCredential,
  Set as CredentialSet,
} from '../../../src/protocol/interface.generated.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { memberName } from '../../../src/sets.ts';
import { encodeText } from '../../value.ts';
import { STDERR } from '../file-descriptors.ts';
import type { Session } from '../session.ts';
import { isColoured } from '../terminal.ts';
import { VALIDATION_TIMEOUT_MS } from '../timeouts.ts';
import { formatFindings, formatMistake, formatNotTried, formatResult, formatTrying } from '../validation-report.ts';
import { optionOf } from './from-flags.ts';
import type { GivenValues } from './given-values.ts';
import { findSet, providerValue, type SetTarget } from './set-target.ts';

const OPERATION = 'Create credential';

/** The values to store, and how to store them. */
export interface StoreRequest {
  readonly target: SetTarget;
  readonly provider: Provider;
  readonly values: GivenValues;
  /** The set is stored without being tried out. */
  readonly isUntried: boolean;
  /** A bucket is created if the set names none. */
  readonly makeBucket: boolean;
}

interface Outcome {
  readonly generation: number;
  readonly saved: readonly SavedCredential[];
  readonly findings: readonly Finding[];
}

/** Tries a set out with its new values, and stores it if nothing failed; or stores it untried. */
export async function storeSet(session: Session, request: StoreRequest): Promise<ExitCode> {
  const { target, provider, isUntried } = request;
  const outcome = isUntried ? await store(session, request) : await prove(session, request);
  if ('failed' in outcome) return refuse(session, provider, outcome);
  const { view } = await findSet(session, target.set, target.owner);
  report(session, request, outcome, view);
  return EXIT.done;
}

async function store(session: Session, { target, provider, values }: StoreRequest): Promise<Outcome> {
  const credentials = credentialsOf(target, provider, values);
  const { owner, isReplaced: replace } = target;
  const reply = await session.withClient((client) => client.call('Create', { credentials, replace, owner }));
  return { ...reply, findings: [] };
}

/** Tries a set out. If anything failed, nothing is stored, and the last reply is returned with all the findings. */
async function prove(
  session: Session,
  request: StoreRequest,
): Promise<Outcome | (ProveOut & { readonly failed: true })> {
  const { target, provider, values, makeBucket } = request;
  const credentials = credentialsOf(target, provider, values);
  const call = { credentials, replace: target.isReplaced, owner: target.owner, makeBucket };
  const isPainted = isColoured(STDERR);
  const findings: Finding[] = [];
  let last: ProveOut | undefined;
  using progress = session.progress(formatTrying([]));
  await session.withClient(async (client) => {
    for await (const reply of client.stream('Prove', call)) {
      session.show(formatFindings(target.set, reply.findings.filter(isNews), isPainted));
      findings.push(...reply.findings);
      progress.say(formatTrying(findings));
      last = reply;
    }
  }, VALIDATION_TIMEOUT_MS);
  session.show(formatNotTried(findings, isPainted));
  const { failed, generation, saved } = last ?? noReply();
  if (failed || typeof generation !== 'number') return { ...(last ?? noReply()), findings, failed: true };
  return { generation, saved, findings };
}

/** Tells whether to show a finding now. A missing field is not an error yet; the report at the end names it. */
function isNews({ state, reason }: Finding): boolean {
  return state !== 'warning' || reason !== 'missing_field';
}

function noReply(): never {
  throw new CredentialError('InternalError', {});
}

function credentialsOf(target: SetTarget, provider: Provider, values: GivenValues): { readonly name: string }[] {
  const texts = [...values].map(([field, { text }]) => [field, text] as const);
  return [...texts, ...providerValue(target, provider)].map(([field, text]) => ({
    name: memberName(target.set, field),
    ...encodeText(text),
  }));
}

function refuse(session: Session, provider: Provider, outcome: ProveOut): ExitCode {
  if (session.isJson) session.printDocument(outcome);
  const missing = outcome.findings.find(({ state, reason }) => state === 'failed' && reason === 'missing_field');
  const option = missing?.field ? optionOf(provider, missing.field) : undefined;
  const gives = option === undefined ? '' : `--${option} gives what is missing; `;
  const result = formatResult(outcome.set, outcome.findings, option === undefined);
  session.fail(OPERATION, `nothing was stored: ${result}`);
  warn(session, outcome.set, outcome.findings);
  if (!session.isJson) session.note(`Hint: ${gives}--no-validate stores it without trying it out`);
  return EXIT.validationFailed;
}

function report(session: Session, request: StoreRequest, outcome: Outcome, stored: CredentialSet | undefined): void {
  const { target, provider, isUntried } = request;
  const { uuid, missing = [], ready = false, health } = stored ?? {};
  const document = { set: target.set, uuid, provider: provider.id, ready, missing, health, ...outcome };
  if (!session.isPortworx) session.succeed(document, OPERATION, `Set ${target.set} saved`);
  else {
    const done = target.fields.size === 0 ? 'created' : 'updated';
    // The same line as pxctl prints, as scripts parse it.
    session.print(document, () => `Credentials ${done} successfully, UUID:${uuid ?? ''}\n`);
  }
  warn(session, target.set, outcome.findings);
  if (session.isJson) return;
  if (isUntried) session.note(`Note: it was not tried out; to do so: cio credential validate ${target.set}`);
  const [server, ...otherServers] = request.values.get('endpoint')?.text.split(',') ?? [];
  // A repository includes its own server.
  if (otherServers.length > 0 && !request.values.has('backup_repo') && !target.fields.has('backup_repo')) {
    session.note(`Note: only ${server} is tried and used; the other servers are kept for display.`);
  }
  const [first] = missing;
  if (first === undefined) return;
  const next = `cio credential create ${memberName(target.set, first)}`;
  session.note(`Note: set ${target.set} is not ready for backups, it lacks ${missing.join(', ')}: ${next}`);
}

/** Prints the warnings: a mistake that shows in the values alone may well be why something failed. */
function warn(session: Session, set: string, findings: readonly Finding[]): void {
  if (session.isJson) return;
  for (const finding of findings) {
    if (finding.state === 'warning' && isNews(finding)) session.note(`Warning: ${formatMistake(set, finding)}`);
  }
}
