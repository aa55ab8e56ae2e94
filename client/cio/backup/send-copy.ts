import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import { EXIT, isCredentialError } from '../../../src/errors.ts';
import type { RestoreIn, RestoreOut } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { CommandError, RewordedError } from '../command-error.ts';
import { assertCanConfirm } from '../confirm.ts';
import { openForReading } from '../file-descriptors.ts';
import { reasonOf, shownPath } from '../file-error.ts';
import { readPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';
import { formatAge, formatTime } from '../time.ts';
import { WHOLE_STORE_TIMEOUT_MS } from '../timeouts.ts';

/** Bytes of a copy that are sent in one call. */
const PIECE_BYTES: number = 256 * 1024;

/** Options of a restore. */
export interface RestoreOptions {
  readonly isConfirmed: boolean;
  readonly isDryRun: boolean;
  readonly usesRecoveryCode: boolean;
}

type Secret = Pick<RestoreIn, 'passphrase' | 'recoveryCode'>;

/**
 * Sends a copy to the daemon, has it checked, describes it, asks for confirmation, and replaces the store with it.
 *
 * @throws CredentialError, ConnectionError, CommandError; the store is then unchanged
 */
export async function restoreCopy(session: Session, path: string, options: RestoreOptions): Promise<number> {
  if (!options.isConfirmed && !options.isDryRun) assertCanConfirm(session);
  // Asked before anything is sent, so that the user need not wait with the code at hand.
  const given: Secret = options.usesRecoveryCode
    ? { recoveryCode: await readPassphrase(session, 'Recovery code') }
    : {};
  return session.withClient(async (client) => {
    const call = await withProgress(session, 'Sending the copy', () => upload(client, path));
    const { secret, report } = await check(session, client, call, given).catch((error: unknown) => {
      throw rewordForCopy(error);
    });
    if (options.isDryRun) {
      session.succeed(report, 'Check copy', 'every record of the copy is good; nothing was changed');
      if (!session.isJson) session.note(describe(report));
      return EXIT.done;
    }
    if (!session.isJson) session.note(describe(report));
    if (!options.isConfirmed && !(await session.prompter.confirm('Replace the present store with it?'))) {
      throw new CommandError('NotConfirmed', 'not confirmed; nothing was changed');
    }
    const done = await withProgress(session, 'Putting the copy in place', () =>
      client.call('Restore', { ...call, ...secret }),
    );
    session.succeed(done, 'Restore store', `${done.credentials} credentials restored; the store is open`);
    if (!session.isJson) for (const line of nextSteps(done)) session.note(line);
    return EXIT.done;
  }, WHOLE_STORE_TIMEOUT_MS);
}

/** Shows a progress line on a terminal while some work is done. */
async function withProgress<T>(session: Session, what: string, work: () => Promise<T>): Promise<T> {
  using _progress = session.progress(what);
  return await work();
}

async function upload(client: CredentialClient, path: string): Promise<Pick<RestoreIn, 'upload' | 'sha256'>> {
  const file = openCopy(path);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(PIECE_BYTES);
    let id: string | undefined;
    for (;;) {
      const piece = buffer.subarray(0, readPiece(file, buffer));
      if (piece.length === 0 && id !== undefined) return { upload: id, sha256: hash.digest('hex') };
      hash.update(piece);
      const parameters = { piece: piece.toString('base64'), ...(id !== undefined && { upload: id }) };
      ({ upload: id } = await client.call('UploadCopy', parameters));
    }
  } finally {
    closeSync(file);
  }
}

/** Has the daemon open and check the copy. Asks for the passphrase if the daemon's own keys do not open it. */
async function check(
  session: Session,
  client: CredentialClient,
  call: Pick<RestoreIn, 'upload' | 'sha256'>,
  given: Secret,
): Promise<{ readonly secret: Secret; readonly report: RestoreOut }> {
  const ask = (secret: Secret): Promise<RestoreOut> =>
    withProgress(session, 'Checking every record of the copy', () =>
      client.call('Restore', { ...call, ...secret, checkOnly: true }),
    );
  try {
    return { secret: given, report: await ask(given) };
  } catch (error) {
    if (!isCredentialError(error, 'UnlockFailed') || typeof given.recoveryCode === 'string') throw error;
    const passphrase = await readPassphrase(session, 'Passphrase of the copy').catch((reading: unknown) => {
      throw session.prompter.canAsk ? reading : error;
    });
    return { secret: { passphrase }, report: await ask({ passphrase }) };
  }
}

/** Gives `UnlockFailed` a hint that fits a copy: the usual ones are for the store on this host. */
function rewordForCopy(error: unknown): unknown {
  if (!isCredentialError(error, 'UnlockFailed') || error.fields.reason === 'bad_code') return error;
  return new RewordedError(error, {
    hint: 'a copy opens with what opened the store when it was made: its passphrase, or with --recovery its recovery code',
  });
}

function describe({ sameStore, storeId, credentials, commits, storeCommits, changed }: RestoreOut): string {
  const whose = sameStore ? 'a copy of this store' : `a copy of another store, ${storeId}`;
  const when = changed ? `last changed ${formatTime(changed)} (${formatAge(changed, Date.now())})` : 'empty';
  const older = storeCommits ? storeCommits - commits : 0;
  const behind =
    sameStore && older > 0 ? `; restoring it undoes ${older === 1 ? '1 change' : `${older} changes`} made since` : '';
  return `It is ${whose}: ${credentials} credentials, ${when}${behind}.`;
}

function nextSteps({ opensByItself, kept, sameStore, storeCommits }: RestoreOut): string[] {
  const slot = 'cio credential slot add keyfile PATH';
  return [
    ...(kept ? [`The previous store is in ${kept}; remove it when it is no longer needed.`] : []),
    ...(sameStore || storeCommits !== undefined
      ? []
      : [
          'The previous store was locked, so its generations are unknown and may recur: restart all programs that watch.',
        ]),
    ...(opensByItself ? [] : [`No slot opens the store unattended at the next start. To add one: ${slot}`]),
  ];
}

function openCopy(path: string): number {
  // Without O_NONBLOCK, opening a named pipe that has no writer would block.
  const file = openForReading(path, 'the copy', undefined, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new CommandError('ReadFailed', `the copy ${shownPath(path)} is not a regular file`);
}

function readPiece(file: number, buffer: Buffer): number {
  try {
    return readSync(file, buffer, 0, buffer.length, null);
  } catch (error) {
    throw new CommandError('ReadFailed', `cannot read the copy: ${reasonOf(error)}`);
  }
}
