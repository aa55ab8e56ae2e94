import type { Command } from './command.ts';
import { COMPLETION } from './commands/completion.ts';
import { CREATE } from './commands/create.ts';
import { DOCTOR } from './commands/doctor.ts';
import { ENV } from './commands/env.ts';
import { EXEC } from './commands/exec.ts';
import { FSCK } from './commands/fsck.ts';
import { GET } from './commands/get.ts';
import { GRANT } from './commands/grant.ts';
import { HISTORY } from './commands/history.ts';
import { LIST } from './commands/list.ts';
import { LOCK } from './commands/lock.ts';
import { REKEY } from './commands/rekey.ts';
import { REMOVE } from './commands/remove.ts';
import { REVOKE } from './commands/revoke.ts';
import { ROLLBACK } from './commands/rollback.ts';
import { SLOT_ADD } from './commands/slot-add.ts';
import { SLOT_LIST } from './commands/slot-list.ts';
import { SLOT_REMOVE } from './commands/slot-remove.ts';
import { STATUS } from './commands/status.ts';
import { UNLOCK } from './commands/unlock.ts';
import { VALIDATE } from './commands/validate.ts';

/** The one table of commands, in the order of the help. A new command is a file of its own and a line here. */
export const COMMANDS: readonly Command[] = [
  CREATE,
  LIST,
  GET,
  REMOVE,
  VALIDATE,
  EXEC,
  ENV,
  GRANT,
  REVOKE,
  HISTORY,
  ROLLBACK,
  STATUS,
  DOCTOR,
  LOCK,
  UNLOCK,
  SLOT_ADD,
  SLOT_LIST,
  SLOT_REMOVE,
  FSCK,
  REKEY,
  COMPLETION,
];
