import { SUBJECT_LENGTH_MAX } from '../../src/limits.ts';
import { CHECKS, CHECK_STATES, REASONS } from '../../src/validation.ts';
import type { CheckId, CheckState, Finding, Reason } from '../../src/validation.ts';

/** A message of the prober: one finding, or the mark that there are no more. */
export type ProberMessage = { readonly kind: 'finding'; readonly finding: Finding } | { readonly kind: 'done' };

/**
 * Replaces a subject that contains a secret: a bucket may have the same name as a password, or a server may echo one.
 */
const REDACTED = '***';

/** Reasons whose subject is a word of the server's choice: an error code, or a region. */
const QUOTING_SERVER: ReadonlySet<unknown> = new Set<Reason>(['wrong_region', 'server_error', 'unexpected_answer']);

/** Shorter words of a server may be parts of a secret by chance. */
const WORD_LENGTH_MIN = 8;

const FIELD = /^[a-z0-9_]{1,64}$/;
const SUBJECT = /^[\x20-\x7e]*$/;

/**
 * Parses a message of the prober. The prober talks to a remote server, so its output is not trusted: words must be in
 * the closed sets, and free text must be short and printable.
 *
 * @param secrets values that no finding may repeat: a subject that contains one, or a word of the server that is a part
 *   of one, is replaced by {@link REDACTED}
 * @returns undefined if the bytes are not a valid message
 */
export function parseProberMessage(bytes: Uint8Array, secrets: readonly string[]): ProberMessage | undefined {
  const message = parseJson(bytes);
  if (typeof message !== 'object' || message === null) return undefined;
  const { done, check, state, reason, field, subject, ms } = message as Record<string, unknown>;
  if (done === true) return { kind: 'done' };
  if (!isOneOf(CHECKS, check) || !isOneOf(CHECK_STATES, state)) return undefined;
  if (reason !== undefined && !(typeof reason === 'string' && Object.hasOwn(REASONS, reason))) return undefined;
  if (field !== undefined && !(typeof field === 'string' && FIELD.test(field))) return undefined;
  if (subject !== undefined && !isSubject(subject)) return undefined;
  if (ms !== undefined && !(typeof ms === 'number' && ms >= 0 && ms < Number.MAX_SAFE_INTEGER)) return undefined;
  const finding = {
    check,
    state,
    ...(reason === undefined ? {} : { reason: reason as Reason }),
    ...(field === undefined ? {} : { field }),
    ...(subject === undefined
      ? {}
      : { subject: secrets.some((secret) => repeats(subject, reason, secret)) ? REDACTED : subject }),
    ...(ms === undefined ? {} : { ms: Math.round(ms) }),
  };
  return { kind: 'finding', finding };
}

/** Tells whether a subject contains a secret or, as a word of the server, is a part of one: words are cut to length. */
function repeats(subject: string, reason: unknown, secret: string): boolean {
  const isWord = QUOTING_SERVER.has(reason) && subject.length >= WORD_LENGTH_MIN;
  return subject.includes(secret) || (isWord && secret.includes(subject));
}

function isSubject(subject: unknown): subject is string {
  return typeof subject === 'string' && subject.length <= SUBJECT_LENGTH_MAX && SUBJECT.test(subject);
}

function isOneOf<Text extends CheckId | CheckState>(texts: readonly Text[], value: unknown): value is Text {
  return (texts as readonly unknown[]).includes(value);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch {
    return undefined;
  }
}
