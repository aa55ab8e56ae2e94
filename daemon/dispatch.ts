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
import { NEVER_GONE } from './gone.ts';
import type { Gone } from './gone.ts';
import { describeDefect } from './log.ts';
import type { Log } from './log.ts';
import type { Context, MethodName } from './methods/context.ts';
import { METHODS, isEndless, isStreaming } from './methods/table.ts';
import { seldom } from './seldom.ts';
import { storeErrorBehind, toCredentialError } from './vault/store-failures.ts';

/** A reply as it goes onto the wire, without its NUL. */
export interface Reply {
  readonly error?: string;
  readonly parameters?: object;
  readonly continues?: boolean;
}

/** What comes of a call: one reply, now or later, or several; nothing for a call that wants none. */
export type Answer = Reply | Promise<Reply | undefined> | AsyncGenerator<Reply, void, undefined> | undefined;

/**
 * Answers a parsed message of a caller. It never throws. What takes long is ended when the caller is gone, and what has no
 * end of its own when nothing more will be taken from it.
 */
export type Dispatch = (caller: Caller, message: unknown, gone?: Gone, ending?: Gone) => Answer;

/** A call, checked as far as the protocol itself goes (https://varlink.org/Method-Call). */
interface Call {
  readonly method: string;
  readonly parameters: object;
  readonly isMore: boolean;
  readonly isOneway: boolean;
}

type Handler = (caller: Caller, parameters: object, isMore: boolean, gone: Gone, ending: Gone) => Answer;

/** What a peer named is told back only where it has the form of a name. */
const MEMBER = /^[A-Za-z0-9.-]{1,200}$/;

const VENDOR = 'cio-credentiald';
const OVERLAPPING: ReadonlySet<unknown> = new Set(
  ['Create', 'Grant', 'Revoke'].map((name) => `${INTERFACE_NAME}.${name}`),
);

/** Makes the table of all methods, with the checks of their parameters. */
export function createDispatch(context: Context, log: Log, seldomLog: Log = seldom(log)): Dispatch {
  const { methods } = compileInterface(parseInterface(INTERFACE_DESCRIPTION));
  const service = compileInterface(parseInterface(SERVICE_DESCRIPTION));
  const handlers = new Map<string, { readonly check: Check; readonly handle: Handler }>();
  for (const [name, { checkCall }] of methods) {
    handlers.set(`${INTERFACE_NAME}.${name}`, { check: checkCall, handle: methodHandler(context, name as MethodName) });
  }
  for (const [name, { checkCall }] of service.methods) {
    handlers.set(`${SERVICE_NAME}.${name}`, { check: checkCall, handle: serviceHandler(name, context.version) });
  }
  const refuse = (error: unknown, method: string): Reply => refusal(error, method, log, seldomLog);
  return (caller, message, gone = NEVER_GONE, ending = NEVER_GONE) => {
    const call = parseCall(message);
    if (call === undefined) return malformed('not_a_call');
    const answer = answerCall(handlers, caller, call, { gone, ending }, refuse);
    return call.isOneway ? silence(answer) : answer;
  };
}

/**
 * The method of a call that may begin while calls of the same one, just before it on the same connection, wait for their
 * answer: they are committed together then. Its place among them is kept, and so none is that has a UUID looked for first.
 * Undefined for every other call.
 */
export function overlapOf(message: unknown): unknown {
  const { method, parameters } = (message ?? {}) as { readonly method?: unknown; readonly parameters?: unknown };
  const { target } = (parameters ?? {}) as { readonly target?: unknown };
  return OVERLAPPING.has(method) && !(typeof target === 'string' && isUuid(target)) ? method : undefined;
}

/** The answer to bytes that are no call; it repeats nothing of them. */
export function malformed(reason: 'not_json' | 'not_a_call'): Reply {
  return toReply(new CredentialError('MalformedMessage', { reason }));
}

/** The wire form of an operating error. */
export function toReply({ code, fields }: CredentialError): Reply {
  return { error: `${INTERFACE_NAME}.${code}`, parameters: fields };
}

function answerCall(
  handlers: ReadonlyMap<string, { readonly check: Check; readonly handle: Handler }>,
  caller: Caller,
  { method, parameters, isMore }: Call,
  { gone, ending }: { readonly gone: Gone; readonly ending: Gone },
  refuseCall: (error: unknown, method: string) => Reply,
): Answer {
  const handler = handlers.get(method);
  if (handler === undefined) return unknownMethod(method);
  const invalid = handler.check(parameters);
  if (invalid !== undefined) return { error: `${SERVICE_NAME}.InvalidParameter`, parameters: { parameter: invalid } };
  const refuse = (error: unknown): Reply => refuseCall(error, method);
  try {
    const answer = handler.handle(caller, parameters, isMore, gone, ending);
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
      gone: Gone,
      ending: Gone,
    ) => Parts;
    return (caller, parameters, isMore, gone, ending) => {
      if (!isMore && isEndless(name)) return { error: `${SERVICE_NAME}.ExpectedMore`, parameters: {} };
      const parts = stream(context, caller, parameters, gone, ending);
      return isMore ? continuing(parts) : collect(parts);
    };
  }
  // The check of the interface file is what makes the parameters those of the method.
  const method = METHODS[name] as (
    context: Context,
    caller: Caller,
    parameters: object,
    gone: Gone,
  ) => object | Promise<object>;
  return (caller, parameters, _isMore, gone) => {
    const out = method(context, caller, parameters, gone);
    return out instanceof Promise ? out.then((parameters_) => ({ parameters: parameters_ })) : { parameters: out };
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

/** The parts of an answer; the one that is returned is the last. */
type Parts = AsyncGenerator<object, object, undefined>;

/** Each part with `continues`, but for the last. */
async function* continuing(parts: Parts): AsyncGenerator<Reply, void, undefined> {
  const last = yield* forEach(parts, (part) => ({ parameters: part, continues: true }));
  yield { parameters: last };
}

async function* forEach(parts: Parts, toReply_: (part: object) => Reply): AsyncGenerator<Reply, object, undefined> {
  try {
    for (;;) {
      const next = await parts.next();
      if (next.done === true) return next.value;
      yield toReply_(next.value);
    }
  } finally {
    // Nobody may want the rest: what the method holds is given back then.
    await parts.return({});
  }
}

/** All parts as one: lists are joined, and of everything else the last one counts. @throws CredentialError `TooLarge` */
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

/** Nothing, when the work is done. Of a call that wants no answer, none is made in parts. */
function silence(answer: Answer): Promise<undefined> | undefined {
  return answer instanceof Promise ? answer.then(() => undefined) : undefined;
}

/** @param seldomLog for what whoever calls again and again meets each time; a defect is never left out */
function refusal(error: unknown, method: string, log: Log, seldomLog: Log): Reply {
  const known = toCredentialError(error);
  if (known instanceof CredentialError) {
    const failure = storeErrorBehind(known);
    if (failure !== undefined) seldomLog.error('the storage failed', { method, reason: failure.message });
    return toReply(known);
  }
  log.error('a call failed by a defect', { method, ...describeDefect(error) });
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
