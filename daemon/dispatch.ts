import { CredentialError } from '../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../src/limits.ts';
import { isUuid } from '../src/names.ts';
import { compileInterface } from '../src/protocol/check.ts';
import type { Check } from '../src/protocol/check.ts';
import { parseInterface } from '../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION, INTERFACE_NAME } from '../src/protocol/interface.generated.ts';
import {
  INTERFACE_DESCRIPTION as SERVICE_DESCRIPTION,
  INTERFACE_NAME as SERVICE_NAME,
} from '../src/protocol/service.generated.ts';
import type { Caller } from './access/caller.ts';
import { NEVER } from './emitter.ts';
import type { Subscribe } from './emitter.ts';
import { describeDefect } from './log.ts';
import type { Log } from './log.ts';
import type { Context, MethodName } from './methods/context.ts';
import { METHODS, isEndless, isStreaming } from './methods/table.ts';
import { rateLimited } from './rate-limited-log.ts';
import { storeErrorBehind, toCredentialError } from './vault/store-failures.ts';

/** A reply as it goes onto the wire, without its NUL. */
export interface Reply {
  readonly error?: string;
  readonly parameters?: object;
  readonly continues?: boolean;
}

/** The answer to a call: one reply, now or later, or a stream of replies; undefined for a oneway call. */
export type Answer = Reply | Promise<Reply | undefined> | AsyncGenerator<Reply, void, undefined> | undefined;

/**
 * Answers a parsed message of a caller. Never throws. Long work is ended when the caller is gone (`onGone`), and an
 * endless answer when the connection takes no more calls (`onEnding`).
 */
export type Dispatch = (caller: Caller, message: unknown, onGone?: Subscribe, onEnding?: Subscribe) => Answer;

/** A well-formed Varlink call (https://varlink.org/Method-Call); its method and parameters are not checked yet. */
interface Call {
  readonly method: string;
  readonly parameters: object;
  readonly isMore: boolean;
  readonly isOneway: boolean;
}

type Handler = (caller: Caller, parameters: object, isMore: boolean, onGone: Subscribe, onEnding: Subscribe) => Answer;

/** The form of a name. An error reply repeats a name that a peer sent only if it has this form. */
const MEMBER = /^[A-Za-z0-9.-]{1,200}$/;

const VENDOR = 'cio-credentiald';
const BATCHABLE_METHODS: ReadonlySet<unknown> = new Set(
  ['Create', 'Grant', 'Revoke'].map((name) => `${INTERFACE_NAME}.${name}`),
);

/** Makes the dispatcher for all methods, with the checks of their parameters. */
export function createDispatch(context: Context, log: Log, rateLimitedLog: Log = rateLimited(log)): Dispatch {
  const { methods } = compileInterface(parseInterface(INTERFACE_DESCRIPTION));
  const service = compileInterface(parseInterface(SERVICE_DESCRIPTION));
  const handlers = new Map<string, { readonly check: Check; readonly handle: Handler }>();
  for (const [name, { checkCall }] of methods) {
    handlers.set(`${INTERFACE_NAME}.${name}`, { check: checkCall, handle: methodHandler(context, name as MethodName) });
  }
  for (const [name, { checkCall }] of service.methods) {
    handlers.set(`${SERVICE_NAME}.${name}`, { check: checkCall, handle: serviceHandler(name, context.version) });
  }
  const refuse = (error: unknown, method: string): Reply => refusal(error, method, log, rateLimitedLog);
  return (caller, message, onGone = NEVER, onEnding = NEVER) => {
    const call = parseCall(message);
    if (call === undefined) return malformed('not_a_call');
    const answer = answerCall(handlers, caller, call, { onGone, onEnding }, refuse);
    return call.isOneway ? silence(answer) : answer;
  };
}

/**
 * Returns the method of a call that may begin while calls of the same method, just before it on the same connection,
 * wait for their answers, so that they are committed together; undefined for every other call. Such calls must keep
 * their order, so a call whose target is a UUID, which is looked up first, is not one of them.
 */
export function batchableMethod(message: unknown): unknown {
  const { method, parameters } = (message ?? {}) as { readonly method?: unknown; readonly parameters?: unknown };
  const { target } = (parameters ?? {}) as { readonly target?: unknown };
  return BATCHABLE_METHODS.has(method) && !(typeof target === 'string' && isUuid(target)) ? method : undefined;
}

/** Returns the reply to bytes that are not a call; it repeats none of them. */
export function malformed(reason: 'not_json' | 'not_a_call'): Reply {
  return toReply(new CredentialError('MalformedMessage', { reason }));
}

/** Returns the wire form of an operating error. */
export function toReply({ code, fields }: CredentialError): Reply {
  return { error: `${INTERFACE_NAME}.${code}`, parameters: fields };
}

function answerCall(
  handlers: ReadonlyMap<string, { readonly check: Check; readonly handle: Handler }>,
  caller: Caller,
  { method, parameters, isMore }: Call,
  { onGone, onEnding }: { readonly onGone: Subscribe; readonly onEnding: Subscribe },
  refuseCall: (error: unknown, method: string) => Reply,
): Answer {
  const handler = handlers.get(method);
  if (handler === undefined) return unknownMethod(method);
  const invalid = handler.check(parameters);
  if (invalid !== undefined) return { error: `${SERVICE_NAME}.InvalidParameter`, parameters: { parameter: invalid } };
  const refuse = (error: unknown): Reply => refuseCall(error, method);
  try {
    const answer = handler.handle(caller, parameters, isMore, onGone, onEnding);
    if (answer instanceof Promise) return answer.catch(refuse);
    return answer !== undefined && Symbol.asyncIterator in answer ? refusingStream(answer, refuse) : answer;
  } catch (error) {
    return refuse(error);
  }
}

function methodHandler(context: Context, name: MethodName): Handler {
  if (isStreaming(name)) {
    const stream = METHODS[name] as (
      context: Context,
      caller: Caller,
      parameters: object,
      onGone: Subscribe,
      onEnding: Subscribe,
    ) => Parts;
    return (caller, parameters, isMore, onGone, onEnding) => {
      if (!isMore && isEndless(name)) return { error: `${SERVICE_NAME}.ExpectedMore`, parameters: {} };
      const parts = stream(context, caller, parameters, onGone, onEnding);
      return isMore ? continuing(parts) : collect(parts);
    };
  }
  // The cast is sound: the parameters were checked against the interface file.
  const method = METHODS[name] as (
    context: Context,
    caller: Caller,
    parameters: object,
    onGone: Subscribe,
  ) => object | Promise<object>;
  return (caller, parameters, _isMore, onGone) => {
    const out = method(context, caller, parameters, onGone);
    return out instanceof Promise ? out.then((reply) => ({ parameters: reply })) : { parameters: out };
  };
}

function serviceHandler(name: string, version: string): Handler {
  const descriptions = new Map([
    [INTERFACE_NAME, INTERFACE_DESCRIPTION],
    [SERVICE_NAME, SERVICE_DESCRIPTION],
  ]);
  const info = { vendor: VENDOR, product: VENDOR, version, url: '', interfaces: [SERVICE_NAME, INTERFACE_NAME] };
  if (name === 'GetInfo') return () => ({ parameters: info });
  return (_caller, parameters) => {
    const wanted = (parameters as { interface: string }).interface;
    const description = descriptions.get(wanted);
    return description === undefined
      ? { error: `${SERVICE_NAME}.InterfaceNotFound`, parameters: { interface: MEMBER.test(wanted) ? wanted : '' } }
      : { parameters: { description } };
  };
}

function unknownMethod(method: string): Reply {
  const dot = method.lastIndexOf('.');
  const name = method.slice(0, Math.max(dot, 0));
  if (name === INTERFACE_NAME || name === SERVICE_NAME) {
    const member = method.slice(dot + 1);
    return { error: `${SERVICE_NAME}.MethodNotFound`, parameters: { method: MEMBER.test(member) ? member : '' } };
  }
  return { error: `${SERVICE_NAME}.InterfaceNotFound`, parameters: { interface: MEMBER.test(name) ? name : '' } };
}

/** The parts of an answer: yields all but the last, and returns the last. */
type Parts = AsyncGenerator<object, object, undefined>;

/** Yields each part as a reply, with `continues` on all but the last. */
async function* continuing(parts: Parts): AsyncGenerator<Reply, void, undefined> {
  try {
    for (;;) {
      const { done, value: part } = await parts.next();
      yield done === true ? { parameters: part } : { parameters: part, continues: true };
      if (done === true) return;
    }
  } finally {
    // The consumer may stop early: the method then releases what it holds.
    await parts.return({});
  }
}

/**
 * Joins all parts into one reply: lists are concatenated, of any other field the last value counts.
 *
 * @throws CredentialError `TooLarge`
 */
async function collect(parts: Parts): Promise<Reply> {
  const whole: Record<string, unknown> = {};
  let size = 0;
  try {
    for (;;) {
      const { done, value: part } = await parts.next();
      size += JSON.stringify(part).length;
      if (size > MESSAGE_BYTES_MAX) throw new CredentialError('TooLarge', { limit: MESSAGE_BYTES_MAX });
      for (const [name, value] of Object.entries(part)) {
        const known = whole[name];
        whole[name] = Array.isArray(known) && Array.isArray(value) ? [...(known as unknown[]), ...value] : value;
      }
      if (done === true) return { parameters: whole };
    }
  } finally {
    await parts.return({});
  }
}

async function* refusingStream(
  answer: AsyncGenerator<Reply, void, undefined>,
  refuse: (error: unknown) => Reply,
): AsyncGenerator<Reply, void, undefined> {
  try {
    yield* answer;
  } catch (error) {
    yield refuse(error);
  }
}

/**
 * Discards the answer to a oneway call, once its work is done. The answer is never a stream: `isMore` is false for it.
 */
function silence(answer: Answer): Promise<undefined> | undefined {
  return answer instanceof Promise ? answer.then(() => undefined) : undefined;
}

/**
 * Logs a failed call where the operator should know of it, and returns the error reply.
 *
 * @param rateLimitedLog for failures that a caller would repeat with every call; a defect is always logged
 */
function refusal(error: unknown, method: string, log: Log, rateLimitedLog: Log): Reply {
  const known = toCredentialError(error);
  if (known instanceof CredentialError) {
    const failure = storeErrorBehind(known);
    if (failure !== undefined) rateLimitedLog.error('the storage failed', { method, reason: failure.message });
    return toReply(known);
  }
  log.error('a call failed: internal error', { method, ...describeDefect(error) });
  return toReply(new CredentialError('InternalError', {}));
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === 'boolean';
}

function parseCall(message: unknown): Call | undefined {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return undefined;
  const { method, parameters, more, oneway, upgrade } = message as Record<string, unknown>;
  if (typeof method !== 'string' || upgrade === true) return undefined;
  if (!isFlag(more) || !isFlag(oneway) || !isFlag(upgrade)) return undefined;
  const given = parameters ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) return undefined;
  return { method, parameters: given, isMore: more === true && oneway !== true, isOneway: oneway === true };
}
