/** What people's tools call an rclone option, and the field whose value it takes. */
export type RcloneOptions = { readonly [option: string]: string };

/** One field of a provider: the last part of a credential's name, and what is known of its value. */
export interface Field {
  /** The suffix of the name, as in `cio_<set>_<id>`. */
  readonly id: string;
  readonly label: string;
  /** A secret is never shown in a list, and is asked for without echo. */
  readonly isSecret: boolean;
  /** A set is ready when it has all required fields. */
  readonly isRequired: boolean;
  /** A key that a set does without, and that is not given to tools, where it uses the machine's own identity (its field `use_iam`). */
  readonly isReplacedByIdentity?: boolean;
  readonly input: 'text' | 'password' | 'textarea';
  readonly example?: string;
  /** The environment variables by which restic and the provider's own tools take this value. */
  readonly variables: readonly string[];
  /** Those by which tools take the path of a file that has it. */
  readonly fileVariables?: readonly string[];
  /** Says what is wrong with a value, as text that does not repeat it; undefined where nothing is. */
  readonly check?: (text: string) => string | undefined;
}

/** What tools are told that no field says by itself: it is a part of one, or follows from several. */
export interface Derived {
  /** Options of the rclone remote, with their values. */
  readonly rclone: RcloneOptions;
  /** Environment variables, with their values. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A provider as data. Nothing here does any work on a network. */
export interface Provider {
  /** The first word of the names of its sets. */
  readonly id: string;
  readonly label: string;
  readonly fields: readonly Field[];
  /** The rclone remote of a set. */
  readonly rclone: {
    readonly fixed: RcloneOptions;
    /** Options and the fields that they come from. */
    readonly fromFields: RcloneOptions;
    /** Options that {@link Provider.derive} may give; where it does not, the caller's are taken away. */
    readonly derived: readonly string[];
  };
  /** @param values the set's values by field id, of any form */
  readonly derive: (values: ReadonlyMap<string, string>) => Derived;
  /** Variables of the caller that would override or contradict the set; they are taken from the environment. */
  readonly contradicting: readonly string[];
  /** Those of them by which the machine's own identity is told: left in place for a set that uses it. */
  readonly identity: readonly string[];
}
