import { defineCommand, type Command } from '../command.ts';

/** The command that cio-credential-reload.service runs. */
export const RELOAD_UNITS: Command = defineCommand({
  name: 'reload-units',
  operation: 'Reload units',
  summary: 'Reload the units that a set names whenever the set changes',
  positionals: {},
  options: {},
  examples: [],
  isHidden: true,
  async run(_input, session) {
    const { reloadUnits } = await import('../watch/reload-units.ts');
    return reloadUnits(session);
  },
});
