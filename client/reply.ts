import { Buffer, isUtf8 } from 'node:buffer';
import { CredentialError, type ErrorCode } from '../src/errors.ts';
import { compileInterface, type Check } from '../src/protocol/check.ts';
import type { Errors, Methods } from '../src/protocol/interface.generated.ts';
import { INTERFACE_NAME } from '../src/protocol/interface.generated.ts';
import { ConnectionError } from './connection-error.ts';
import { interfaceDefinition } from './interface.ts';
import { completeReply } from './later-fields.ts';

/** Name of a method of the daemon. */
export type MethodName = keyof Methods;

/** One reply, of which no more is known than that it is one. */
export interface Reply {
  /** Qualified name of the error, where it is one. */
  readonly error: string | undefined;
  /** `{}` where the message has none. */
  readonly parameters: unknown;
  /** More replies to the same call will follow. */
  readonly continues: boolean;
}

const SERVICE = 'org.varlink.service.';

/** The name of an error as Varlink has it, and no longer than one to be shown. */
const ERROR_NAME = /^[A-Z][A-Za-z0-9]{0,39}$/;

/** Reads one message. Undefined where it is no reply. */
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
 * What a reply says, checked against the interface. What a newer daemon says besides is let through, and what an older one
 * leaves out is as it means it.
 *
 * @throws CredentialError an error of the interface
 * @throws ConnectionError `rejected` for an error of `org.varlink.service`, `bad_reply` for what is not of the interface
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

/** The error that a reply tells, checked against the interface as {@link readReply} does. */
export function errorOf(qualified: string, parameters: unknown, socket: string): Error {
  if (qualified.startsWith(`${INTERFACE_NAME}.`)) {
    const code = qualified.slice(INTERFACE_NAME.length + 1);
    const check = checkOfError(code);
    if (check !== undefined && check(parameters) === undefined) {
      return new CredentialError(code as ErrorCode, parameters as Errors[ErrorCode]);
    }
    // One that only a newer daemon has.
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

/** Made when first needed: most processes make one call. */
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
