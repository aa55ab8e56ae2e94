/** One assignment of a unit file, with its specifiers not expanded. */
export interface Assignment {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** A parsed unit file or drop-in. */
export interface UnitFile {
  readonly path: string;
  /** The unit it belongs to, as `restic@.service`. For a drop-in of several units, their type, or as `a-.service`. */
  readonly unit: string;
  readonly isDropIn: boolean;
  readonly assignments: readonly Assignment[];
}

/**
 * Parses the assignments of a unit file, in their order (systemd.syntax(7)). A backslash at the end of a line joins the
 * next one; comments between joined lines are dropped. Lines that are not assignments are ignored, as systemd does.
 */
export function parseUnitFile(text: string): Assignment[] {
  const assignments: Assignment[] = [];
  let section = '';
  let joined = '';
  for (const raw of `${text}\n`.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#') || line.startsWith(';')) continue;
    if (line.endsWith('\\')) {
      joined += `${line.slice(0, -1)} `;
      continue;
    }
    const whole = (joined + line).trim();
    joined = '';
    const header = /^\[([^\]]*)\]$/.exec(whole);
    if (header !== null) {
      section = header[1] ?? '';
      continue;
    }
    const equals = whole.indexOf('=');
    if (equals <= 0) continue;
    assignments.push({ section, key: whole.slice(0, equals).trim(), value: whole.slice(equals + 1).trim() });
  }
  return assignments;
}

/** Returns the names of the variables that an `Environment=` sets, without their values. Words may be in quotes. */
export function environmentNames(value: string): string[] {
  const words = value.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)/g);
  return [...words].flatMap(([, double, single, bare]) => {
    const word = double ?? single ?? bare ?? '';
    const equals = word.indexOf('=');
    // An empty value is no secret.
    return equals > 0 && equals < word.length - 1 ? [word.slice(0, equals)] : [];
  });
}
