import { CredentialError } from '../../src/errors.ts';
import { requireAdministrator } from '../access/rules.ts';
import type { Method } from './context.ts';

/** Largest piece of a copy, in bytes; it is written synchronously, while all other callers wait. */
const PIECE_BYTES_MAX: number = 1024 * 1024;

/** Receives a piece of a copy, for `Restore`. */
export const uploadCopy: Method<'UploadCopy'> = ({ copies }, caller, { upload, piece }) => {
  requireAdministrator(caller);
  const bytes = Buffer.from(piece, 'base64');
  if (bytes.length > PIECE_BYTES_MAX) throw new CredentialError('TooLarge', { limit: PIECE_BYTES_MAX });
  if (bytes.toString('base64') !== piece) {
    throw new CredentialError('InvalidValue', { name: 'piece', reason: 'it is not base64' });
  }
  const { id, size } = copies.uploads.take(upload ?? undefined, bytes);
  return { upload: id, size };
};
