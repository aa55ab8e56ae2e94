import type { Command } from './command.ts';
import { AWS_CONFIG } from './commands/aws-config.ts';
import { BACKUP } from './commands/backup.ts';
import { COMPLETION } from './commands/completion.ts';
import { CREATE } from './commands/create.ts';
import { CREDENTIAL_PROCESS } from './commands/credential-process.ts';
import { DOCTOR } from './commands/doctor.ts';
import { EDIT } from './commands/edit.ts';
import { ENV } from './commands/env.ts';
import { EXEC } from './commands/exec.ts';
import { EXPORT } from './commands/export.ts';
import { FSCK } from './commands/fsck.ts';
import { GENERATE } from './commands/generate.ts';
import { GET } from './commands/get.ts';
import { GRANT } from './commands/grant.ts';
import { HISTORY } from './commands/history.ts';
import { IMPORT } from './commands/import.ts';
import { LIST } from './commands/list.ts';
import { LOCK } from './commands/lock.ts';
import { REKEY } from './commands/rekey.ts';
import { REMOVE } from './commands/remove.ts';
import { RESTORE } from './commands/restore.ts';
import { REVOKE } from './commands/revoke.ts';
import { ROLLBACK } from './commands/rollback.ts';
import { SLOT_ADD } from './commands/slot-add.ts';
import { SLOT_LIST } from './commands/slot-list.ts';
import { SLOT_REMOVE } from './commands/slot-remove.ts';
import { STATUS } from './commands/status.ts';
import { UNLOCK } from './commands/unlock.ts';
import { VALIDATE } from './commands/validate.ts';
import { WATCH } from './commands/watch.ts';

/** All commands, in the order of the help. A new command is a file of its own and a line here. */
export const COMMANDS: readonly Command[] = [
  CREATE,
  LIST,
  GET,
  REMOVE,
  VALIDATE,
  GENERATE,
  EXEC,
  ENV,
  CREDENTIAL_PROCESS,
  AWS_CONFIG,
  GRANT,
  REVOKE,
  HISTORY,
  ROLLBACK,
  WATCH,
  STATUS,
  DOCTOR,
  LOCK,
  UNLOCK,
  SLOT_ADD,
  SLOT_LIST,
  SLOT_REMOVE,
  EDIT,
  IMPORT,
  EXPORT,
  BACKUP,
  RESTORE,
  FSCK,
  REKEY,
  COMPLETION,
];
