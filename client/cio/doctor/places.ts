/** The directories and units of an installed daemon (file-hierarchy(7)). */
export const SYSTEM_RUNTIME = '/run/cio-credentiald';
export const SYSTEM_STATE = '/var/lib/cio-credentiald';
export const SERVICE = 'cio-credentiald.service';
export const SOCKET_UNIT = 'cio-credentiald.socket';
export const LOAD_SOCKETS = [
  { name: 'load', unit: 'cio-credentiald-load.socket' },
  { name: 'load-encrypted', unit: 'cio-credentiald-load-encrypted.socket' },
] as const;

/** The socket through which the daemon has systemd start a prober. */
export const PROBE_SOCKET = { name: 'probe', unit: 'cio-credential-prober.socket' } as const;

/** The user of the installed daemon. */
export const SERVICE_USER = 'cio-credentiald';

/** The credential in which systemd passes the root key to the daemon, and the file in which systemd keeps it. */
export const ROOT_KEY_CREDENTIAL = 'cio-credentiald.root-key';
export const ROOT_KEY_CREDENTIAL_PATH: string = `/etc/credstore.encrypted/${ROOT_KEY_CREDENTIAL}`;

/** The key file that is created with a store outside systemd, and the files of a store, all in the state directory. */
export const KEY_FILE = 'root.key';
export const DATABASE = 'credentials.db';
export const STORE_FILES: readonly string[] = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`, KEY_FILE];
