/** The client library of cio-credentiald. The command line `cio` uses nothing else. */
export type { CallOptions, CredentialClient } from './client.ts';
export { connect, type ConnectOptions } from './connect.ts';
export { ConnectionError, type ConnectionFailure } from './connection-error.ts';
export type { MethodName } from './reply.ts';
export { decodeValue, encodeValue, type WireValue } from './value.ts';
export { CredentialError, isCredentialError, type ErrorCode } from '../src/errors.ts';
export type * from '../src/protocol/interface.generated.ts';
