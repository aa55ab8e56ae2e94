import { completeLine } from '../completer.ts';
import { defineCommand, type Command } from '../command.ts';
import { COMMANDS } from '../commands.ts';

/** Time-out of a call, in milliseconds: a person at the shell waits no longer. */
const TIMEOUT_MS = 1000;

/** Answers shell completion, in the format that the scripts in `completion-scripts.ts` read. */
export const COMPLETE: Command = defineCommand({
  name: '__complete',
  operation: 'Complete',
  summary: 'Answer the completion of a shell',
  positionals: {
    INDEX: { describe: 'Which word is being typed', count: 'one' },
    WORD: { describe: 'The words of the line', count: 'any' },
  },
  options: {},
  examples: [],
  isHidden: true,
  async run({ positionals }, session) {
    const index = Number(positionals.INDEX);
    const answer = await completeLine(positionals.WORD, index, COMMANDS, () => session.connect(TIMEOUT_MS));
    const head = answer.kind === 'command' ? `command ${answer.first}` : answer.kind;
    const lines = [head, ...(answer.kind === 'words' ? answer.words : [])];
    session.print(answer, () => lines.map((line) => `${line}\n`).join(''));
    return 0;
  },
});
