import type { Credential, Set as CredentialSet, StatusOut } from '../../../src/protocol/interface.generated.ts';
import type { UnitFile } from './unit-file.ts';
import type { Seen } from './verdict.ts';

/** What the daemon said, or why it said nothing. */
export type DaemonAnswer =
  | {
      readonly kind: 'answered';
      readonly socket: string;
      readonly status: StatusOut;
      /** What is stored, as far as the caller may see it. */
      readonly list: Seen<StoredNames>;
    }
  | {
      readonly kind: 'silent';
      /** Where it was looked for last; undefined where it was not a matter of a socket. */
      readonly socket: string | undefined;
      readonly message: string;
      readonly hint: string | undefined;
      /** Nobody listens; else somebody does, and does not answer as the daemon should, or may not be asked. */
      readonly isAbsent: boolean;
      readonly isReachable: boolean;
    };

/** The parts of a list that the checks need. */
export interface StoredNames {
  readonly credentials: readonly Pick<Credential, 'name' | 'owner' | 'changed' | 'set' | 'grants'>[];
  readonly sets: readonly Pick<CredentialSet, 'set' | 'owner' | 'ready' | 'missing' | 'grants'>[];
}

export type FileKind = 'file' | 'directory' | 'socket' | 'other';

/** What lstat(2) says of a path. */
export interface FileFacts {
  readonly path: string;
  readonly kind: FileKind;
  readonly uid: number;
  /** Permission bits alone. */
  readonly mode: number;
}

/** A file, or undefined where there is none. */
export type SeenFile = Seen<FileFacts | undefined>;

/** Who calls `cio`. */
export interface CallerFacts {
  readonly uid: number;
  /** The version of this `cio`. */
  readonly version: string;
  /** uid of the user `cio-credentiald`; undefined where there is none. */
  readonly serviceUid: number | undefined;
}

/** The sockets and their folder. */
export interface SocketFacts {
  readonly folder: SeenFile;
  readonly varlink: SeenFile;
  readonly load: SeenFile;
  readonly loadEncrypted: SeenFile;
  readonly probe: SeenFile;
  /** The process that the daemon says it is holds the listening socket; the kernel tells root only. */
  readonly isHeldByDaemon: Seen<boolean>;
}

/** What the kernel says of the daemon's process. */
export interface ProcessFacts {
  /** Real, effective, saved and file system uid. */
  readonly uids: readonly number[];
  readonly noNewPrivileges: string | undefined;
  readonly seccomp: string | undefined;
  /** Hexadecimal masks. */
  readonly effectiveCapabilities: string | undefined;
  readonly boundingCapabilities: string | undefined;
  /** The system unit that it runs in. */
  readonly unit: Seen<string | undefined>;
  /** Soft and hard limit of core files, as the kernel writes them. */
  readonly coreLimit: Seen<{ readonly soft: string; readonly hard: string }>;
  readonly hasOwnNetwork: Seen<boolean>;
  /** `memory.swap.max` of its cgroup; undefined where the cgroup has no such bound. */
  readonly swapMax: Seen<string | undefined>;
}

/** What systemd says of itself and of the daemon's service. */
export interface SystemdFacts {
  /** It is PID 1 here. */
  readonly isRunning: boolean;
  /** First line of `systemctl --version`. */
  readonly version: Seen<string>;
  /** Properties of the daemon's service. */
  readonly service: Seen<ReadonlyMap<string, string>>;
  /** Properties of the socket units, by unit. */
  readonly socketUnits: Seen<ReadonlyMap<string, ReadonlyMap<string, string>>>;
  /** Drop-ins of the daemon's service, read. */
  readonly dropIns: Seen<readonly UnitFile[]>;
  /** The package's unit file is there, whether it counts or not. */
  readonly hasPackagedUnit: boolean;
  /** With a TPM2 and Secure Boot, systemd takes no credential that is encrypted with its null key (systemd-creds(1)). */
  readonly refusesNullKey: boolean;
}

export interface SwapDevice {
  readonly name: string;
  /** zram without a disk behind it, or a device that dm-crypt encrypts, never shows a clear page to a disk. */
  readonly protection: 'none' | 'encrypted' | 'memory';
}

export interface StoreFacts {
  readonly directory: SeenFile;
  /** The files that are there. */
  readonly files: Seen<readonly FileFacts[]>;
  /** Type and options of the file system, as in proc_pid_mountinfo(5). */
  readonly mount: Seen<{ readonly type: string; readonly isReadOnly: boolean }>;
  readonly freeBytes: Seen<number>;
  readonly databaseBytes: Seen<number>;
  /** systemd has a root key for the daemon. */
  readonly hasSystemdKey: Seen<boolean>;
}

export interface ClockFacts {
  readonly nowMs: number;
  /** The service that timedatectl(1) can have set the clock; undefined where it is not known, or another host's matter. */
  readonly setter: 'absent' | 'off' | 'on' | undefined;
  readonly isSynchronized: Seen<boolean>;
  /** The program file's own time, before which it cannot run. */
  readonly programMs: number | undefined;
}

/** A file in which secrets are found in clear. */
export interface SecretFile {
  readonly path: string;
  readonly file: SeenFile;
  /** Of an environment file: the names of the variables in it that are secrets, one or more. */
  readonly variables?: readonly string[];
}

/** Everything that the checks judge. */
export interface Facts {
  readonly caller: CallerFacts;
  readonly daemon: DaemonAnswer;
  readonly sockets: Seen<SocketFacts>;
  readonly process: Seen<ProcessFacts>;
  readonly systemd: SystemdFacts;
  readonly swap: Seen<readonly SwapDevice[]>;
  readonly store: Seen<StoreFacts>;
  readonly clock: ClockFacts;
  /** Every unit file and drop-in that says something about credentials or secrets, the one that counts first. */
  readonly units: UnitScan;
  /** The same of the caller's own systemd, where the daemon is that of the caller; it alone loads from that one. */
  readonly userUnits: UnitScan | undefined;
  readonly secretFiles: readonly SecretFile[];
}

/** Unit files of the host, or of a user. */
export interface UnitScan {
  readonly files: readonly UnitFile[];
  /** Instances of templates that something starts. */
  readonly instances: readonly string[];
  /** Of the units of these, those that systemd has not: they are masked, or have drop-ins alone. */
  readonly absent: readonly string[];
  /** Files and folders that could not be read, with the reason. */
  readonly unread: readonly { readonly path: string; readonly reason: string }[];
}
