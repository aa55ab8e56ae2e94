import type { Session } from '../session.ts';

/** Whether whoever sits at the terminal wants to go on with what was typed; without one, what was typed is lost. */
export async function wantsAgain(session: Session, why: string): Promise<boolean> {
  if (!session.prompter.canAsk || session.isJson) return false;
  session.note(why);
  return session.prompter.confirm('Open the editor again with what you typed?');
}
