/** Options of an rclone remote by the name that they have in variables, each with a value or with the id of a field. */
export type RcloneOptions = { readonly [option: string]: string };

/** One field of a provider: the last part of a credential's name, and the properties of its value. */
export interface Field {
  /** The suffix of the name, as in `cio_<set>_<id>`. */
  readonly id: string;
  readonly label: string;
  /** A secret is never shown in a list, and is asked for without echo. */
  readonly isSecret: boolean;
  /** A set is ready when it has all required fields. */
  readonly isRequired: boolean;
  /**
   * Whether the field is a key that is neither required nor given to tools if the set uses the machine's own identity
   * (its field `use_iam`).
   */
  readonly isReplacedByIdentity?: boolean;
  readonly input: 'text' | 'password' | 'textarea';
  readonly example?: string;
  /** The environment variables from which restic and the provider's own tools read this value. */
  readonly variables: readonly string[];
  /** The environment variables from which tools read the path of a file with this value. */
  readonly fileVariables?: readonly string[];
  /** Returns what is wrong with a value, in a text that does not repeat it; undefined if the value is valid. */
  readonly check?: (text: string) => string | undefined;
}

/** Settings for tools that are not the value of a single field: part of one, or a combination of several. */
export interface Derived {
  /** Options of the rclone remote, with their values. */
  readonly rclone: RcloneOptions;
  /** Environment variables, with their values. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The definition of a provider. Nothing in it uses the network. */
export interface Provider {
  /** The first word of the names of its sets. */
  readonly id: string;
  readonly label: string;
  readonly fields: readonly Field[];
  /** How a set becomes an rclone remote. */
  readonly rclone: {
    readonly fixed: RcloneOptions;
    /** Options, each with the id of the field that its value comes from. */
    readonly fromFields: RcloneOptions;
    /** Options that {@link Provider.derive} may set. If it does not, those in the caller's environment are removed. */
    readonly derived: readonly string[];
  };
  /** @param values the set's values by field id; they may be invalid */
  readonly derive: (values: ReadonlyMap<string, string>) => Derived;
  /** Variables that would override or contradict the set. They are removed from the caller's environment. */
  readonly contradicting: readonly string[];
  /** Those of them that select an identity. They are kept for a set that uses the machine's own. */
  readonly identity: readonly string[];
}
