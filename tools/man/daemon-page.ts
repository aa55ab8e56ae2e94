import { DAEMON_OPTIONS, DAEMON_VARIABLES, type DaemonOption } from '../../daemon/options.ts';
import type { Parts } from './prose.ts';
import { bold, inline, italic, item } from './roff.ts';

/** The parts of cio-credentiald(8). */
export function daemonParts(): Parts {
  const options = Object.entries<DaemonOption>(DAEMON_OPTIONS);
  const ofOptions = options.flatMap(([name, { variable }]) =>
    variable === undefined ? [] : [[variable, `The same as --${name}, which takes precedence.`] as const],
  );
  return {
    options: options.map(([name, option]) => optionItem(name, option)).join(''),
    environment: [...ofOptions, ...Object.entries(DAEMON_VARIABLES)]
      .map(([name, meaning]) => item(bold(name), inline(meaning)))
      .join(''),
  };
}

function optionItem(name: string, { short, value, describe, variable, details }: DaemonOption): string {
  const words = [...(short === undefined ? [] : [bold(`-${short}`)]), bold(`--${name}`)].join(', ');
  const first = `${describe.charAt(0).toUpperCase()}${describe.slice(1)}.`;
  const text = [first, details, variable === undefined ? undefined : `Also \`${variable}\`.`];
  return item(value === undefined ? words : `${words} ${italic(value)}`, inline(text.filter(Boolean).join(' ')));
}
