import type { Session } from '../session.ts';

/** Asks the user whether to go on with the edited text. Without a terminal, or with `--json`, the text is lost. */
export async function confirmReopen(session: Session, why: string): Promise<boolean> {
  if (!session.prompter.canAsk || session.isJson) return false;
  session.note(why);
  return session.prompter.confirm('Open the editor again with what you typed?');
}
