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
  readonly input: 'text' | 'password' | 'textarea';
  readonly example?: string;
  /** The environment variables by which restic and the provider's own tools take this value. */
  readonly variables: readonly string[];
  /** Says what is wrong with a value, as text that does not repeat it; undefined where nothing is. */
  readonly check?: (text: string) => string | undefined;
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
    /** The option for an endpoint that is not the provider's default one, and what else is fixed then. */
    readonly endpoint: string;
    readonly fixedWithEndpoint: RcloneOptions;
  };
  /** The variable by which the provider's own tools take an endpoint that is not the provider's default one. */
  readonly endpointVariable: string;
  /** Variables of the caller that would override or contradict the set; they are taken from the environment. */
  readonly contradicting: readonly string[];
}
