import { defineCommand, type Command } from '../command.ts';

/** The command behind `git-credential-cio`, which git runs. */
export const GIT_CREDENTIAL: Command = defineCommand({
  name: '__git-credential',
  operation: 'Git credential',
  summary: "Speak the protocol of git's credential helpers",
  isHidden: true,
  positionals: { VERB: { describe: 'get, store or erase', count: 'any' } },
  options: {},
  examples: [],
  async run({ positionals }, session) {
    const { runGitHelper } = await import('../helpers/git.ts');
    return runGitHelper(positionals.VERB, session);
  },
});
