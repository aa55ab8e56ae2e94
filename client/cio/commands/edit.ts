import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** Changes a set, or one credential, in an editor. */
export const EDIT: Command = defineCommand({
  name: 'edit',
  operation: 'Edit credential',
  summary: 'Change a set, or one credential, in your editor',
  details:
    'A set is YAML with all fields of its provider; what is changed or added gets a new version, the rest stays as it is. ' +
    'The editor is that of VISUAL or EDITOR, else editor, nano or vi. The file is in memory only, for you alone, and is ' +
    'wiped when the editor exits. An editor that fails changes nothing.',
  positionals: { 'NAME|SET': { describe: 'What to change', count: 'one', completes: 'target' } },
  options: OWNER_OPTION,
  examples: [
    ['cio credential edit aws', 'all fields of a set'],
    ['EDITOR="code --wait" cio credential edit cio_aws_backup_repo', 'one value'],
  ],
  async run({ positionals, options }, session) {
    const owner = resolveOwner(options.owner);
    const { edit } = await import('../edit/edit.ts');
    return edit(session, positionals['NAME|SET'], owner);
  },
});
