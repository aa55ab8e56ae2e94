/**
 * The client library of cio-credentiald. The command line `cio` reaches the daemon through the same code.
 *
 * @example
 * import { connect, decodeValue, isCredentialError } from 'cio-credentiald';
 *
 * await using client = await connect();
 * try {
 *   const password = decodeValue(await client.call('Get', { name: 'cio_aws_backup_password' }));
 * } catch (error) {
 *   if (!isCredentialError(error, 'NotFound')) throw error;
 * }
 */
export type { CallOptions, CredentialClient } from './client.ts';
export { connect, type ConnectOptions } from './connect.ts';
export { ConnectionError, type ConnectionFailure } from './connection-error.ts';
export type { MethodName } from './reply.ts';
export { decodeValue, encodeValue, type EncodedValue, type WireValue } from './value.ts';
export { CredentialError, isCredentialError, type ErrorCode } from '../src/errors.ts';
export { MESSAGE_BYTES_MAX } from '../src/limits.ts';
export type * from '../src/protocol/interface.generated.ts';
