import { Buffer, isUtf8 } from 'node:buffer';
import { CredentialError, type ErrorCode } from '../src/errors.ts';
import { compileInterface, type Check } from '../src/protocol/check.ts';
import type { Errors, Methods } from '../src/protocol/interface.generated.ts';
import { INTERFACE_NAME } from '../src/protocol/interface.generated.ts';
import { ConnectionError } from './connection-error.ts';
import { interfaceDefinition } from './interface.ts';
import { completeReply } from './added-fields.ts';

/** Name of a method of the daemon. */
export type MethodName = keyof Methods;

/** A well-formed Varlink reply whose parameters are not checked yet. */
export interface Reply {
  /** Qualified name of the error; undefined in a reply that is none. */
  readonly error: string | undefined;
  /** `{}` if the message has none. */
  readonly parameters: unknown;
  /** Whether more replies to the same call follow. */
  readonly continues: boolean;
}

const SERVICE = 'org.varlink.service.';

/** An error name of the form that Varlink allows, short enough to be shown to the user. */
const ERROR_NAME = /^[A-Z][A-Za-z0-9]{0,39}$/;

/** Parses one message. Returns undefined if it is not a Varlink reply. */
export function parseReply(frame: Uint8Array): Reply | undefined {
  let message: unknown;
  try {
    if (!isUtf8(frame)) return undefined;
    message = JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return undefined;
  const { error, parameters, continues } = message as Record<string, unknown>;
  if (error !== undefined && error !== null && typeof error !== 'string') return undefined;
  if (continues !== undefined && continues !== null && typeof continues !== 'boolean') return undefined;
  return { error: error ?? undefined, parameters: parameters ?? {}, continues: continues ?? false };
}

/**
 * Returns the parameters of a reply, checked against the interface. Fields that only a newer daemon has are kept;
 * fields that an older daemon leaves out are filled in (see {@link completeReply}).
 *
 * @throws CredentialError the reply is an error of the interface
 * @throws ConnectionError `rejected` for an error of `org.varlink.service` or one that only a newer daemon has,
 *   `bad_reply` for a reply that does not match the interface
 */
export function readReply<Name extends MethodName>(name: Name, reply: Reply, socket: string): Methods[Name]['out'] {
  if (reply.error !== undefined) throw errorOf(reply.error, reply.parameters, socket);
  const check = checkOfMethod(name);
  let path = check(reply.parameters);
  if (path !== undefined) {
    completeReply(name, reply.parameters);
    path = check(reply.parameters);
  }
  if (path !== undefined)
    throw new ConnectionError('bad_reply', socket, { detail: `${name}: ${path || 'parameters'}` });
  return reply.parameters as Methods[Name]['out'];
}

/** Returns the error that a reply reports, checked against the interface as {@link readReply} does. */
export function errorOf(qualified: string, parameters: unknown, socket: string): Error {
  if (qualified.startsWith(`${INTERFACE_NAME}.`)) {
    const code = qualified.slice(INTERFACE_NAME.length + 1);
    const check = checkOfError(code);
    if (check !== undefined && check(parameters) === undefined) {
      return new CredentialError(code as ErrorCode, parameters as Errors[ErrorCode]);
    }
    // An error that only a newer daemon has.
    if (check === undefined && ERROR_NAME.test(code)) return new ConnectionError('rejected', socket, { detail: code });
  }
  if (!qualified.startsWith(SERVICE)) return new ConnectionError('bad_reply', socket, { detail: 'error' });
  const name = qualified.slice(SERVICE.length);
  const { parameter } = parameters as { readonly parameter?: unknown };
  const detail = name === 'InvalidParameter' && typeof parameter === 'string' ? `${name}: ${parameter}` : name;
  return new ConnectionError('rejected', socket, /^[\w.[\]: ]{1,80}$/.test(detail) ? { detail } : {});
}

const methodChecks = new Map<string, Check>();
const errorChecks = new Map<string, Check>();

/** Returns the check for one method, compiled on first use, since most processes make only one call. */
function checkOfMethod(name: MethodName): Check {
  let check = methodChecks.get(name);
  if (check === undefined) {
    const { methods, ...rest } = interfaceDefinition();
    const method = methods.get(name);
    const only = new Map(method === undefined ? [] : [[name, method]]);
    check = compileInterface({ ...rest, methods: only, errors: new Map() }).methods.get(name)?.checkReply;
    if (check === undefined) throw new TypeError('the interface has no such method');
    methodChecks.set(name, check);
  }
  return check;
}

function checkOfError(code: string): Check | undefined {
  let check = errorChecks.get(code);
  if (check === undefined) {
    const { errors, ...rest } = interfaceDefinition();
    const error = errors.get(code);
    if (error === undefined) return undefined;
    check = compileInterface({ ...rest, methods: new Map(), errors: new Map([[code, error]]) }).errors.get(code);
    if (check !== undefined) errorChecks.set(code, check);
  }
  return check;
}
