/** Where an installed daemon has its things (file-hierarchy(7)). */
export const SYSTEM_RUNTIME = '/run/cio-credentiald';
export const SYSTEM_STATE = '/var/lib/cio-credentiald';
export const SERVICE = 'cio-credentiald.service';
export const SOCKET_UNIT = 'cio-credentiald.socket';
export const LOAD_SOCKETS = [
  { name: 'load', unit: 'cio-credentiald-load.socket' },
  { name: 'load-encrypted', unit: 'cio-credentiald-load-encrypted.socket' },
] as const;

/** By which the daemon has systemd start a prober. */
export const PROBE_SOCKET = { name: 'probe', unit: 'cio-credential-prober.socket' } as const;

/** The user of the installed daemon. */
export const SERVICE_USER = 'cio-credentiald';

/** The credential by which systemd hands the daemon its root key, and where systemd keeps it. */
export const ROOT_KEY_CREDENTIAL = 'cio-credentiald.root-key';
export const ROOT_KEY_CREDENTIAL_PATH: string = `/etc/credstore.encrypted/${ROOT_KEY_CREDENTIAL}`;

/** The key file that a store without systemd begins with, and the files of the store, in the state directory. */
export const KEY_FILE = 'root.key';
export const DATABASE = 'credentials.db';
export const STORE_FILES: readonly string[] = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`, KEY_FILE];
