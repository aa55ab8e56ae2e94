import { CredentialError, EXIT, isCredentialError } from '../../../src/errors.ts';
import { canonicalName } from '../../../src/names.ts';
import type { Finding } from '../../../src/protocol/interface.generated.ts';
import { canonicalSetName, membershipOf } from '../../../src/sets.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import { abbreviate } from '../abbreviate.ts';
import { CommandError } from '../command-error.ts';
import { STDOUT } from '../file-descriptors.ts';
import { documentOf, explain } from '../messages.ts';
import type { Session } from '../session.ts';
import { isColoured } from '../terminal.ts';
import { VALIDATION_TIMEOUT_MS } from '../timeouts.ts';
import { formatFindings, formatNotTried, formatResult, formatTitle, formatTrying } from '../validation-report.ts';

/** A set, and the findings of its validation. */
interface Report {
  readonly set: string;
  readonly owner: number;
  readonly failed: boolean;
  readonly findings: readonly Finding[];
}

interface ValidateOptions {
  readonly owner: number | null;
  readonly restoreOnly: boolean;
}

/**
 * Validates sets and prints the findings.
 *
 * @param named names of credentials or sets, and UUIDs; empty for every set
 * @returns the exit code
 * @throws CredentialError, ConnectionError, CommandError if nothing could be tried
 */
export async function validateSets(
  session: Session,
  named: readonly string[],
  options: ValidateOptions,
): Promise<number> {
  const { reports, errors, exit } = await session.withClient(async (client) => {
    const targets = named.length === 0 ? await everySet(client, options.owner) : onePerSet(named);
    const calls = targets.map((target) => ({ target, ...options }));
    return validateEach(session, client, calls);
  }, VALIDATION_TIMEOUT_MS);
  if (session.isJson) session.printDocument({ sets: reports, ...(errors.length > 0 && { errors }) });
  if (reports.length === 0 && errors.length === 0) session.note('There are no sets.');
  return exit;
}

interface Outcome {
  readonly reports: readonly Report[];
  /** The errors of the names that could not be tried, as documents for programs, each with its name. */
  readonly errors: readonly object[];
  /** The exit code of the first failure in the order of the names, or of the error that ended the run. */
  readonly exit: number;
}

/**
 * Validates each target. An error that concerns one name does not stop the others; with a single target it is thrown.
 * An error that would repeat for all further targets ends the run, but the results so far are kept.
 */
async function validateEach(
  session: Session,
  client: CredentialClient,
  calls: readonly ValidateCall[],
): Promise<Outcome> {
  const reports: Report[] = [];
  const errors: object[] = [];
  let exit: number = EXIT.done;
  for (const call of calls) {
    try {
      const report = await validate(session, client, call).catch((error: unknown) =>
        rethrowForSingle(client, call, error),
      );
      reports.push(report);
      if (report.failed) exit ||= EXIT.validationFailed;
    } catch (error) {
      const isLast = !isOfName(error);
      const isAlone = calls.length === 1 || (isLast && reports.length + errors.length === 0);
      if (isAlone || (isLast && !isOfDaemon(error))) throw error;
      const explanation = explain(error);
      session.fail('Validate credential', explanation.message, explanation.hint);
      errors.push({ ...documentOf(explanation), name: call.target });
      if (isLast) return { reports, errors, exit: explanation.exit };
      exit ||= explanation.exit;
    }
  }
  return { reports, errors, exit };
}

/** Whether an error concerns one name, and not every call. */
function isOfName(error: unknown): boolean {
  if (error instanceof CommandError) return error.code === 'NotInForm';
  return NAME_ERRORS.some((code) => isCredentialError(error, code));
}

/** Whether the daemon refused the call or went away. Any other error arose in this process. */
function isOfDaemon(error: unknown): boolean {
  return error instanceof CredentialError || error instanceof ConnectionError;
}

const NAME_ERRORS = ['NotFound', 'InvalidName', 'AccessDenied', 'Damaged'] as const;

/** Replaces `NotFound` for a credential that exists, but is not part of a set. */
async function rethrowForSingle(
  client: CredentialClient,
  { target, owner }: ValidateCall,
  error: unknown,
): Promise<never> {
  if (!isCredentialError(error, 'NotFound')) throw error;
  const { credentials } = await client.call('List', { patterns: [target], owner });
  if (!credentials.some(({ name }) => name === canonicalName(target))) throw error;
  throw new CommandError(
    'NotInForm',
    `${abbreviate(target)} is not part of a set, so there is nothing to try it against`,
  );
}

interface ValidateCall extends ValidateOptions {
  readonly target: string;
}

async function validate(session: Session, client: CredentialClient, call: ValidateCall): Promise<Report> {
  const isPainted = isColoured(STDOUT);
  let report: Report | undefined;
  using progress = session.progress(formatTrying([]));
  for await (const { set, owner, findings, failed } of client.stream('Validate', call)) {
    if (!session.isJson) {
      const title = report === undefined ? formatTitle(set) : '';
      session.printRaw(title + formatFindings(set, findings, isPainted));
    }
    report = { set, owner, failed, findings: [...(report?.findings ?? []), ...findings] };
    progress.say(formatTrying(report.findings));
  }
  if (report === undefined) throw new CredentialError('InternalError', {});
  const { findings } = report;
  if (!session.isJson) session.printRaw(formatNotTried(findings, isPainted));
  const result = formatResult(report.set, findings);
  if (report.failed) session.fail('Validate credential', result);
  else if (session.isJson) return report;
  else if (session.isPortworx) session.succeedAs(undefined, 'Credential validated successfully');
  else session.succeed(undefined, 'Validate credential', result);
  return report;
}

/** Drops names that mean the same set: the name of a credential is enough to tell its set, for the daemon as well. */
function onePerSet(named: readonly string[]): string[] {
  const setOf = (name: string): string => membershipOf(canonicalName(name))?.set ?? canonicalSetName(name) ?? name;
  return [...Map.groupBy(named, setOf).values()].flatMap(([first = '']) => first);
}

async function everySet(client: CredentialClient, owner: number | null): Promise<string[]> {
  const names = new Set<string>();
  for await (const { sets } of client.stream('List', { owner })) for (const { set } of sets) names.add(set);
  return [...names].toSorted();
}
