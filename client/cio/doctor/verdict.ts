/** How serious a finding is. A hint is worth knowing, and does not change the state of its check. */
export type Severity = 'error' | 'warning' | 'hint';

/** One finding: what is the case, why it matters, and the command that fixes it. */
export interface Finding {
  readonly severity: Severity;
  readonly what: string;
  readonly why: string;
  /** One shell command line, ready to be pasted. Absent where no single command line fixes it. */
  readonly fix?: string;
}

/** A fact about the host, or the reason why it could not be determined. An unseen fact never counts as good. */
export type Seen<Value> = { readonly value: Value } | { readonly unseen: string };

/** The outcome of a check. */
export interface Verdict {
  readonly findings: readonly Finding[];
  /** The reasons why parts of the check could not be done. */
  readonly unseen: readonly string[];
}

export type State = 'ok' | 'warning' | 'error' | 'skipped';

/** The outcome of a check, as it is reported. */
export interface CheckResult {
  readonly id: string;
  readonly title: string;
  readonly state: State;
  readonly findings: readonly Finding[];
  /** Why parts of the check could not be done. */
  readonly reason?: string;
}

/** Returns the state of a check. Without an error or a warning, anything unseen makes it `skipped` instead of `ok`. */
export function stateOf({ findings, unseen }: Verdict): State {
  if (findings.some(({ severity }) => severity === 'error')) return 'error';
  if (findings.some(({ severity }) => severity === 'warning')) return 'warning';
  return unseen.length > 0 ? 'skipped' : 'ok';
}

/** Collects the findings of a check while it runs. */
export class Notes implements Verdict {
  readonly findings: Finding[] = [];
  readonly unseen: string[] = [];

  error(what: string, why: string, fix?: string): void {
    this.#add('error', what, why, fix);
  }

  warning(what: string, why: string, fix?: string): void {
    this.#add('warning', what, why, fix);
  }

  hint(what: string, why: string, fix?: string): void {
    this.#add('hint', what, why, fix);
  }

  skip(reason: string): void {
    if (!this.unseen.includes(reason)) this.unseen.push(reason);
  }

  /** Returns the value if it was seen; otherwise records the reason and returns undefined. */
  see<Value>(seen: Seen<Value>): Value | undefined {
    if ('value' in seen) return seen.value;
    this.skip(seen.unseen);
    return undefined;
  }

  #add(severity: Severity, what: string, why: string, fix: string | undefined): void {
    this.findings.push({ severity, what, why, ...(fix !== undefined && { fix }) });
  }
}
