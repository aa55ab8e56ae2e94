import { statSync } from 'node:fs';
import { join } from 'node:path';

/** A file that a tool keeps credentials in. */
export interface Place {
  readonly path: string;
  readonly tool: string;
}

/** Where the tools look by themselves, for this user; the variables by which they are told otherwise go first. */
export function usualPlaces(environment: NodeJS.ProcessEnv): Place[] {
  const home = environment['HOME'];
  const below = (...parts: string[]): string | undefined => (home ? join(home, ...parts) : undefined);
  const config = environment['XDG_CONFIG_HOME'] || below('.config');
  const places: readonly (readonly [path: string | undefined, tool: string])[] = [
    [environment['AWS_SHARED_CREDENTIALS_FILE'] || below('.aws', 'credentials'), 'the AWS tools'],
    [environment['AWS_CONFIG_FILE'] || below('.aws', 'config'), 'the AWS tools'],
    [below('.mc', 'config.json'), 'mc'],
    [below('.mcli', 'config.json'), 'mc'],
    [environment['RCLONE_CONFIG'] || (config && join(config, 'rclone', 'rclone.conf')), 'rclone'],
    [below('.s3cfg'), 's3cmd'],
    [environment['OS_CLIENT_CONFIG_FILE'] || (config && join(config, 'openstack', 'clouds.yaml')), 'OpenStack'],
  ];
  return places.flatMap(([path, tool]) => (path ? [{ path, tool }] : []));
}

/** Whether there is a file, whoever may read it; undefined where a folder on the way is closed. */
export function isThere({ path }: Place): boolean | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch (error) {
    // Of another user, whose HOME is still in the environment; else something on the way is no folder.
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? undefined : false;
  }
}
