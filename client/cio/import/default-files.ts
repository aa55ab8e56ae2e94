import { statSync } from 'node:fs';
import { join } from 'node:path';

/** A file in which a tool keeps credentials. */
export interface CredentialFile {
  readonly path: string;
  readonly tool: string;
}

/** Returns the files in which the tools look for this user's credentials; the tools' own variables take precedence. */
export function defaultFiles(environment: NodeJS.ProcessEnv): CredentialFile[] {
  const home = environment['HOME'];
  const below = (...parts: string[]): string | undefined => (home ? join(home, ...parts) : undefined);
  const config = environment['XDG_CONFIG_HOME'] || below('.config');
  const files: readonly (readonly [path: string | undefined, tool: string])[] = [
    [environment['AWS_SHARED_CREDENTIALS_FILE'] || below('.aws', 'credentials'), 'the AWS tools'],
    [environment['AWS_CONFIG_FILE'] || below('.aws', 'config'), 'the AWS tools'],
    [below('.mc', 'config.json'), 'mc'],
    [below('.mcli', 'config.json'), 'mc'],
    [environment['RCLONE_CONFIG'] || (config && join(config, 'rclone', 'rclone.conf')), 'rclone'],
    [below('.s3cfg'), 's3cmd'],
    [environment['OS_CLIENT_CONFIG_FILE'] || (config && join(config, 'openstack', 'clouds.yaml')), 'OpenStack'],
  ];
  return files.flatMap(([path, tool]) => (path ? [{ path, tool }] : []));
}

/** Whether the file exists, readable or not; undefined if a folder on the way is closed to this user. */
export function fileExists({ path }: CredentialFile): boolean | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch (error) {
    // EACCES: HOME may still be that of another user, as under su. Otherwise a part of the path is not a folder.
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? undefined : false;
  }
}
