import { createHash, randomBytes } from 'node:crypto';

import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { closeForGood, openForWriting, writeFully } from '../store/copy-directory.ts';
import type { CopyDirectory } from '../store/copy-directory.ts';
import { toCredentialError } from './store-failures.ts';

/** Largest copy that is accepted: some million credentials. */
const COPY_BYTES_MAX: number = 16 * 1024 ** 3;

/** Idle time after which an unfinished upload may be replaced by another one. */
const IDLE_MS = 5000;

/** Idle time after which an upload is dropped: time enough for a user to consider the report of a check. */
const FORGOTTEN_MS = 600_000;

/** A copy that is being uploaded. */
export interface Upload {
  readonly id: string;
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the bytes received so far, in hexadecimal digits. */
  readonly sha256: string;
  /** Whether all its records were checked and are good. */
  isChecked: boolean;
}

/** Receives copies of the store, one at a time, piece by piece. */
export class Uploads {
  readonly #directory: CopyDirectory;
  #current: IncomingFile | undefined;
  #lastHeard = 0;
  #isSending = false;
  #isInUse = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: CopyDirectory) {
    this.#directory = directory;
  }

  /**
   * Receives the next piece of a copy; the first piece has no id.
   *
   * @throws CredentialError `Busy`, `BadCopy`, `StorageFull`, `StorageFailed`; if the piece itself was refused, the
   *   upload is dropped
   */
  take(id: string | undefined, piece: Uint8Array): Upload {
    const upload = id === undefined ? this.#begin() : this.#known(id);
    if (this.#isInUse) throw new CredentialError('Busy', {});
    this.#hear();
    try {
      if (upload.size + piece.length > COPY_BYTES_MAX) throw new CredentialError('BadCopy', { reason: 'too_large' });
      this.#directory.requireRoom(piece.length);
      upload.append(piece);
      return upload;
    } catch (error) {
      this.drop();
      throw toCredentialError(error);
    }
  }

  /**
   * Runs `work` with exclusive use of an upload that is complete.
   *
   * @throws CredentialError `Busy`, `BadCopy`
   */
  async use<T>(id: string, sha256: string, work: (upload: Upload) => Promise<T>): Promise<T> {
    const upload = this.#known(id);
    if (this.#isInUse) throw new CredentialError('Busy', {});
    if (upload.sha256 !== sha256) {
      this.drop();
      throw new CredentialError('BadCopy', { reason: 'not_whole' });
    }
    this.#isInUse = true;
    try {
      return await work(upload);
    } catch (error) {
      if (isCredentialError(error, 'BadCopy')) this.drop();
      throw error;
    } finally {
      this.#isInUse = false;
      this.#hear();
      // The client that sent it has its answer and may be gone: from now on another upload may replace this one at
      // once.
      this.#isSending = false;
    }
  }

  /** Drops the current upload and removes its file. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#current?.close();
    if (this.#current !== undefined) this.#directory.remove(this.#current.path);
    this.#current = undefined;
    this.#isSending = false;
  }

  #begin(): IncomingFile {
    if (this.#isInUse) throw new CredentialError('Busy', {});
    if (this.#isSending && performance.now() - this.#lastHeard < IDLE_MS) throw new CredentialError('Busy', {});
    this.drop();
    try {
      this.#current = new IncomingFile(this.#directory.newFile());
      this.#isSending = true;
      return this.#current;
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  #known(id: string): IncomingFile {
    if (this.#current?.id !== id) throw new CredentialError('BadCopy', { reason: 'gone' });
    return this.#current;
  }

  #hear(): void {
    this.#lastHeard = performance.now();
    clearTimeout(this.#timer);
    if (this.#current === undefined) return;
    this.#timer = setTimeout(() => (this.#isInUse ? this.#hear() : this.drop()), FORGOTTEN_MS).unref();
  }
}

class IncomingFile implements Upload {
  readonly id: string = randomBytes(16).toString('hex');
  readonly path: string;
  isChecked = false;
  #size = 0;
  readonly #hash = createHash('sha256');
  readonly #file: number;

  /** @throws StoreError */
  constructor(path: string) {
    this.path = path;
    this.#file = openForWriting(path);
  }

  get size(): number {
    return this.#size;
  }

  get sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  append(piece: Uint8Array): void {
    writeFully(this.#file, piece);
    this.#hash.update(piece);
    this.#size += piece.length;
    this.isChecked = false;
  }

  close(): void {
    closeForGood(this.#file);
  }
}
