import { CommandError, usageError } from './command-error.ts';
import type { Session } from './session.ts';

/**
 * Has something confirmed that cannot be undone: by `--yes`, or by whoever sits at the terminal.
 *
 * @throws CommandError `Usage` where nobody can be asked, `NotConfirmed`, `Interrupted`
 */
export async function assertConfirmed(session: Session, question: string): Promise<void> {
  assertCanConfirm(session);
  if (!(await session.prompter.confirm(question)))
    throw new CommandError('NotConfirmed', 'not confirmed; nothing was changed');
}

/** @throws CommandError `Usage` where nobody can be asked; to be called before anything else is done */
export function assertCanConfirm(session: Session): void {
  if (!session.prompter.canAsk) throw usageError('there is no terminal to ask for a confirmation', 'give --yes');
}
