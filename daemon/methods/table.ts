import { addSlot } from './add-slot.ts';
import type { Method, MethodName, StreamingMethod } from './context.ts';
import { backup } from './backup.ts';
import { create } from './create.ts';
import { fsck } from './fsck.ts';
import { generate } from './generate.ts';
import { getSet } from './get-set.ts';
import { get } from './get.ts';
import { grant } from './grant.ts';
import { history } from './history.ts';
import { listSlots } from './list-slots.ts';
import { list } from './list.ts';
import { lock } from './lock.ts';
import { prove } from './prove.ts';
import { rekey } from './rekey.ts';
import { removeSlot } from './remove-slot.ts';
import { remove } from './remove.ts';
import { restore } from './restore.ts';
import { revoke } from './revoke.ts';
import { rollback } from './rollback.ts';
import { status } from './status.ts';
import { unlock } from './unlock.ts';
import { uploadCopy } from './upload-copy.ts';
import { validate } from './validate.ts';
import { watch } from './watch.ts';

/** The methods that answer in parts. */
export type StreamingName = 'List' | 'Backup' | 'Validate' | 'Prove' | 'Watch';

/** {@link StreamingName} at run time; the compiler checks it against the type. */
const STREAMING: Readonly<Record<StreamingName, true>> = {
  List: true,
  Backup: true,
  Validate: true,
  Prove: true,
  Watch: true,
};

export function isStreaming(name: MethodName): name is StreamingName {
  return Object.hasOwn(STREAMING, name);
}

/** Tells whether the answer of a method is endless, and so cannot be a single reply. */
export function isEndless(name: MethodName): boolean {
  return name === 'Watch';
}

/** Every method of the interface, by its name there; the compiler checks the table against the interface. */
export const METHODS: {
  readonly [Name in MethodName]: Name extends StreamingName ? StreamingMethod<Name> : Method<Name>;
} = {
  Create: create,
  Get: get,
  GetSet: getSet,
  List: list,
  Remove: remove,
  Grant: grant,
  Revoke: revoke,
  History: history,
  Rollback: rollback,
  Status: status,
  Lock: lock,
  Unlock: unlock,
  ListSlots: listSlots,
  AddSlot: addSlot,
  RemoveSlot: removeSlot,
  Fsck: fsck,
  Rekey: rekey,
  Backup: backup,
  UploadCopy: uploadCopy,
  Restore: restore,
  Validate: validate,
  Prove: prove,
  Generate: generate,
  Watch: watch,
};
