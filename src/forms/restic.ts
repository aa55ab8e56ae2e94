import { environmentOf, fileVariablesOf, remoteVariablePrefix } from '../environment.ts';
import { formatEnvironmentFile } from '../set-files.ts';
import { memberName } from '../sets.ts';
import { refuseNul, requireComplete, type SetContent } from './set-content.ts';

/**
 * Formats a set as an environment file for restic, to be read by `sh` or systemd's `EnvironmentFile=`. A value that
 * restic reads only from a file is mentioned in a comment.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export function formatRestic(content: SetContent): string {
  const { set, values } = content;
  const provider = requireComplete(content);
  refuseNul(content);
  const remote = remoteVariablePrefix(set);
  const variables = [...environmentOf(set, provider, values).set].filter(([name]) => !name.startsWith(remote));
  const files = [...fileVariablesOf(provider, values)].filter(([name]) => RESTIC_FILE_VARIABLES.includes(name));
  const comments = files.map(
    ([name, field]) =>
      `# ${name}= the path of a file with what this prints: cio credential get ${memberName(set, field)}\n`,
  );
  return comments.join('') + formatEnvironmentFile({ set: new Map(variables), unset: [] });
}

/** The variables with the path of a file that restic itself reads. */
const RESTIC_FILE_VARIABLES: readonly string[] = ['GOOGLE_APPLICATION_CREDENTIALS', 'RESTIC_CACERT'];
