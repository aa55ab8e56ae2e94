import { CommandError, usageError } from './command-error.ts';
import type { Session } from './session.ts';

/**
 * Asks the user at the terminal to confirm something that cannot be undone.
 *
 * @throws CommandError `Usage` if there is no terminal, `NotConfirmed`, `Interrupted`
 */
export async function assertConfirmed(session: Session, question: string): Promise<void> {
  assertCanConfirm(session);
  if (!(await session.prompter.confirm(question)))
    throw new CommandError('NotConfirmed', 'not confirmed; nothing was changed');
}

/** To be called before anything else is done. @throws CommandError `Usage` if there is no terminal to ask on */
export function assertCanConfirm(session: Session): void {
  if (!session.prompter.canAsk) throw usageError('there is no terminal to ask for confirmation', 'give --yes');
}
