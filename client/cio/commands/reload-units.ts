import { defineCommand, type Command } from '../command.ts';

/** What cio-credential-reload.service runs. */
export const RELOAD_UNITS: Command = defineCommand({
  name: 'reload-units',
  operation: 'Reload units',
  summary: 'Reload the units that sets name whenever these change',
  positionals: {},
  options: {},
  examples: [],
  isHidden: true,
  async run(_input, session) {
    const { reloadUnits } = await import('../watch/reload-units.ts');
    return reloadUnits(session);
  },
});
