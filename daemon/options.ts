/** One option of `cio-credentiald`: what parsing, `--help` and the manual page need to know of it. */
export interface DaemonOption {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** Placeholder for its value in the help. */
  readonly value?: string;
  /** One line for `--help`. */
  readonly describe: string;
  /** Environment variable that counts if the option is not given. */
  readonly variable?: string;
  /** More, for the manual page. */
  readonly details?: string;
}

/** The one table of the daemon's options, in the order of the help. */
export const DAEMON_OPTIONS = {
  'state-dir': {
    type: 'string',
    value: 'DIR',
    describe: 'where the store is',
    variable: 'CIO_STATE_DIR',
    details: 'It is made if it does not exist, and must be closed to everybody else.',
  },
  'runtime-dir': {
    type: 'string',
    value: 'DIR',
    describe: 'where the sockets are',
    variable: 'CIO_RUNTIME_DIR',
    details: 'Clients find it by the same variable. The path of a socket has at most 107 bytes.',
  },
  system: {
    type: 'boolean',
    describe: '/var/lib and /run (the default for root)',
    details: 'Every user of the host reaches the sockets; the kernel says who they are.',
  },
  user: { type: 'boolean', describe: "the user's own directories (the default for everybody else)" },
  'validate-every': {
    type: 'string',
    value: 'off|TIME',
    describe: 'try every set again after that time (6h with --system, else off)',
    variable: 'CIO_VALIDATE_EVERY',
    details:
      'A number with m, h or d, from 1m to 30d. Two at a time, and nothing is written at their servers. The log says when a set begins to fail and when it works again.',
  },
  salvage: {
    type: 'string',
    value: 'FILE',
    describe: 'make a new store from what can be read of a damaged one, and exit',
    details:
      'For a store with damaged pages, which was moved out of the state directory, with its write-ahead log (-wal). As root it becomes the owner of the state directory first. What follows is cio credential fsck --repair.',
  },
  'keys-from': {
    type: 'string',
    value: 'COPY',
    describe: 'with --salvage: an older copy, to take the slots from',
    details:
      'Where the id of the store, its slots or its data key are damaged. The copy must be of the same store, and no older than its last rekey; slots that were removed since then open the store again.',
  },
  version: { type: 'boolean', describe: 'show the version' },
  help: { type: 'boolean', short: 'h', describe: 'show this help' },
} as const;

/** What the daemon reads of its environment besides the variables of {@link DAEMON_OPTIONS}. */
export const DAEMON_VARIABLES: { readonly [name: string]: string } = {
  XDG_STATE_HOME: "Where the user's state is; ~/.local/state where it is not set, or not absolute.",
  XDG_RUNTIME_DIR: "Where the user's sockets are. Without it they are in a folder run beside the store.",
  CREDENTIALS_DIRECTORY: 'Where systemd put the credentials of the daemon itself, its root key among them.',
  JOURNAL_STREAM:
    'If it names the file behind standard error, each line of the log begins with its priority, for journald.',
  NOTIFY_SOCKET: 'Where systemd hears that the daemon is ready, and keeps the connections of units that wait.',
  LISTEN_PID: 'With LISTEN_FDS and LISTEN_FDNAMES, the sockets that systemd hands over; see sd_listen_fds(3).',
  WATCHDOG_USEC: 'With WATCHDOG_PID, within what time systemd wants to hear of the daemon; see sd_watchdog_enabled(3).',
};
