/** How bad something is. A hint is worth knowing, and leaves a check as good as it is. */
export type Severity = 'error' | 'warning' | 'hint';

/** One thing to know: what is the case, why it matters, and the command that fixes it. */
export interface Finding {
  readonly severity: Severity;
  readonly what: string;
  readonly why: string;
  /** One line for a shell, exactly as it is to be typed. Absent where no single command does it. */
  readonly mend?: string;
}

/** Something of the host: seen, or not to be seen, with the reason. What was not seen never counts as good. */
export type Seen<Value> = { readonly value: Value } | { readonly unseen: string };

/** What a check has to say. */
export interface Verdict {
  readonly findings: readonly Finding[];
  /** What could not be looked at, each with its reason. */
  readonly unseen: readonly string[];
}

export type State = 'ok' | 'warning' | 'error' | 'skipped';

/** What one check found. */
export interface CheckResult {
  readonly id: string;
  readonly title: string;
  readonly state: State;
  readonly findings: readonly Finding[];
  /** What was not looked at, and why. */
  readonly reason?: string;
}

/** The worst of a verdict: without a warning or an error, what was not seen keeps it from being good. */
export function stateOf({ findings, unseen }: Verdict): State {
  if (findings.some(({ severity }) => severity === 'error')) return 'error';
  if (findings.some(({ severity }) => severity === 'warning')) return 'warning';
  return unseen.length > 0 ? 'skipped' : 'ok';
}

/** Collects findings while a check looks at its facts. */
export class Notes implements Verdict {
  readonly findings: Finding[] = [];
  readonly unseen: string[] = [];

  error(what: string, why: string, mend?: string): void {
    this.#add('error', what, why, mend);
  }

  warning(what: string, why: string, mend?: string): void {
    this.#add('warning', what, why, mend);
  }

  hint(what: string, why: string, mend?: string): void {
    this.#add('hint', what, why, mend);
  }

  skip(reason: string): void {
    if (!this.unseen.includes(reason)) this.unseen.push(reason);
  }

  /** The value that was seen; else undefined, and the reason is noted. */
  see<Value>(seen: Seen<Value>): Value | undefined {
    if ('value' in seen) return seen.value;
    this.skip(seen.unseen);
    return undefined;
  }

  #add(severity: Severity, what: string, why: string, mend: string | undefined): void {
    this.findings.push({ severity, what, why, ...(mend !== undefined && { mend }) });
  }
}
