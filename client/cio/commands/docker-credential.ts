import { defineCommand, type Command } from '../command.ts';

/** The command behind `docker-credential-cio`, which docker runs. */
export const DOCKER_CREDENTIAL: Command = defineCommand({
  name: '__docker-credential',
  operation: 'Docker credential',
  summary: "Speak the protocol of docker's credential helpers",
  isHidden: true,
  positionals: { VERB: { describe: 'store, get, erase, list or version', count: 'any' } },
  options: {},
  examples: [],
  async run({ positionals }, session) {
    const { runDockerHelper } = await import('../helpers/docker.ts');
    return runDockerHelper(positionals.VERB, session);
  },
});
