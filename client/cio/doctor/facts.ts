import type { Credential, Set as CredentialSet, StatusOut } from '../../../src/protocol/interface.generated.ts';
import type { UnitFile } from './unit-file.ts';
import type { Seen } from './verdict.ts';

/** The daemon's answer, or why there is none. */
export type DaemonAnswer =
  | {
      readonly kind: 'answered';
      readonly socket: string;
      readonly status: StatusOut;
      /** The credentials and sets that the caller may see. */
      readonly list: Seen<StoredNames>;
    }
  | {
      readonly kind: 'silent';
      /** Path of the socket that was tried last; undefined where the failure has nothing to do with a socket. */
      readonly socket: string | undefined;
      readonly message: string;
      readonly hint: string | undefined;
      /** Nothing listens there. False if something does, but refuses access or does not answer as the daemon should. */
      readonly isAbsent: boolean;
      readonly isReachable: boolean;
    };

/** The parts of a list that the checks need. */
export interface StoredNames {
  readonly credentials: readonly Pick<Credential, 'name' | 'owner' | 'changed' | 'set' | 'grants'>[];
  readonly sets: readonly Pick<CredentialSet, 'set' | 'owner' | 'ready' | 'missing' | 'grants'>[];
}

export type FileKind = 'file' | 'directory' | 'socket' | 'other';

/** What lstat(2), or stat(2) where links are followed, reports about a path. */
export interface FileFacts {
  readonly path: string;
  readonly kind: FileKind;
  readonly uid: number;
  /** The permission bits, without the file type. */
  readonly mode: number;
}

/** A file; undefined where the path does not exist. */
export type SeenFile = Seen<FileFacts | undefined>;

/** The user who runs `cio`. */
export interface CallerFacts {
  readonly uid: number;
  /** The version of this `cio`. */
  readonly version: string;
  /** The uid of the user `cio-credentiald`; undefined where there is no such user. */
  readonly serviceUid: number | undefined;
}

/** The sockets and their folder. */
export interface SocketFacts {
  readonly folder: SeenFile;
  readonly varlink: SeenFile;
  readonly load: SeenFile;
  readonly loadEncrypted: SeenFile;
  readonly probe: SeenFile;
  /** Whether the process with the pid that the daemon reported holds the listening socket. Only root can see this. */
  readonly isHeldByDaemon: Seen<boolean>;
}

/** What the kernel reports about the daemon's process. */
export interface ProcessFacts {
  /** Real, effective, saved and file system uid. */
  readonly uids: readonly number[];
  readonly noNewPrivileges: string | undefined;
  readonly seccomp: string | undefined;
  /** Capability masks, in hexadecimal. */
  readonly effectiveCapabilities: string | undefined;
  readonly boundingCapabilities: string | undefined;
  /** The system unit that the process runs in. */
  readonly unit: Seen<string | undefined>;
  /** Soft and hard limit on core files, as the kernel prints them. */
  readonly coreLimit: Seen<{ readonly soft: string; readonly hard: string }>;
  readonly hasOwnNetwork: Seen<boolean>;
  /** `memory.swap.max` of its cgroup; undefined where the cgroup has no such file. */
  readonly swapMax: Seen<string | undefined>;
}

/** What systemd reports about itself and about the daemon's service. */
export interface SystemdFacts {
  /** systemd is PID 1 here. */
  readonly isRunning: boolean;
  /** First line of `systemctl --version`. */
  readonly version: Seen<string>;
  /** Properties of the daemon's service. */
  readonly service: Seen<ReadonlyMap<string, string>>;
  /** Properties of the socket units, by the unit's name. */
  readonly socketUnits: Seen<ReadonlyMap<string, ReadonlyMap<string, string>>>;
  /** The drop-ins of the daemon's service, parsed. */
  readonly dropIns: Seen<readonly UnitFile[]>;
  /** The package's unit file exists, even if another file overrides it. */
  readonly hasPackagedUnit: boolean;
  /** systemd refuses credentials encrypted with its null key, as with a TPM2 and Secure Boot (systemd-creds(1)). */
  readonly refusesNullKey: boolean;
}

export interface SwapDevice {
  readonly name: string;
  /** `memory` is zram without a backing disk, `encrypted` is dm-crypt: neither writes pages in clear text to a disk. */
  readonly protection: 'none' | 'encrypted' | 'memory';
}

export interface StoreFacts {
  readonly directory: SeenFile;
  /** The files of the store that exist. */
  readonly files: Seen<readonly FileFacts[]>;
  /** Type and options of the file system, as in proc_pid_mountinfo(5). */
  readonly mount: Seen<{ readonly type: string; readonly isReadOnly: boolean }>;
  readonly freeBytes: Seen<number>;
  readonly databaseBytes: Seen<number>;
  /** systemd has a root key for the daemon in its credential store. */
  readonly hasSystemdKey: Seen<boolean>;
}

export interface ClockFacts {
  readonly nowMs: number;
  /**
   * State of the time service that timedatectl(1) can switch on; undefined where it is not known, or where the clock is
   * set outside this container.
   */
  readonly setter: 'absent' | 'off' | 'on' | undefined;
  readonly isSynchronized: Seen<boolean>;
  /** Modification time of the program file: a clock that is behind it is wrong. */
  readonly programMs: number | undefined;
}

/** A file that holds secrets in clear text. */
export interface SecretFile {
  readonly path: string;
  readonly file: SeenFile;
  /** For an environment file: the names of the secret variables in it, one or more. */
  readonly variables?: readonly string[];
}

/** Everything that the checks look at. */
export interface Facts {
  readonly caller: CallerFacts;
  readonly daemon: DaemonAnswer;
  readonly sockets: Seen<SocketFacts>;
  readonly process: Seen<ProcessFacts>;
  readonly systemd: SystemdFacts;
  readonly swap: Seen<readonly SwapDevice[]>;
  readonly store: Seen<StoreFacts>;
  readonly clock: ClockFacts;
  /** The host's unit files and drop-ins, with the settings that load credentials or set variables. */
  readonly units: UnitScan;
  /** The same for the caller's user manager, where the daemon is the caller's own: only those units load from it. */
  readonly userUnits: UnitScan | undefined;
  readonly secretFiles: readonly SecretFile[];
}

/** A file found in a folder in which systemd looks for units. */
export interface ScannedFile extends UnitFile {
  /** The position of that folder in systemd's search path: of two drop-ins of one name, the one found first counts. */
  readonly folder: number;
}

/** Unit files of the host, or of a user. */
export interface UnitScan {
  /** The unit files and drop-ins that take effect, also those that only hide others by their names. */
  readonly files: readonly ScannedFile[];
  /**
   * The units that systemd can start, including templates. Instances are known if another unit starts them, or if they
   * have files of their own.
   */
  readonly units: readonly string[];
  /** Files and folders that could not be read, with the reason. */
  readonly unread: readonly { readonly path: string; readonly reason: string }[];
}
