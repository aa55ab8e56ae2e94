import { usageError } from '../command-error.ts';
import { COMPLETION_SCRIPTS } from '../completion-scripts.ts';
import { defineCommand, type Command } from '../command.ts';

const SHELLS: readonly string[] = Object.keys(COMPLETION_SCRIPTS);

/** Prints the script with which a shell completes command lines of `cio`. */
export const COMPLETION: Command = defineCommand({
  name: 'completion',
  operation: 'Print completion',
  summary: 'Print the script that completes names, sets and options',
  positionals: { SHELL: { describe: SHELLS.join(', '), count: 'one', completes: SHELLS } },
  options: {},
  examples: [
    ['source <(cio credential completion bash)', 'in ~/.bashrc'],
    ['source <(cio credential completion zsh)', 'in ~/.zshrc'],
    ['cio credential completion fish | source', 'in ~/.config/fish/config.fish'],
  ],
  run({ positionals }, session) {
    const script = COMPLETION_SCRIPTS[positionals.SHELL];
    if (script === undefined) throw usageError(`SHELL is one of ${SHELLS.join(', ')}`);
    session.print({ script }, () => script);
    return Promise.resolve(0);
  },
});
