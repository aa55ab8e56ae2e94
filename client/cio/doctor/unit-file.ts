/** One assignment of a unit file, with the specifiers in it as they are written. */
export interface Assignment {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** A unit file, or a drop-in of one, as it was read. */
export interface UnitFile {
  readonly path: string;
  /** The unit that it belongs to: `restic@.service`. A drop-in of several units has their common start. */
  readonly unit: string;
  readonly isDropIn: boolean;
  readonly assignments: readonly Assignment[];
}

/** Units without a file of their own: a drop-in for all of a type, or for all that begin alike (systemd.unit(5)). */
export function isForSeveral(unit: string): boolean {
  return !unit.includes('.') || /-\.[a-z]+$/.test(unit);
}

/** What files of a unit are sorted by, and hide each other by: the unit's own comes before its drop-ins. */
export function rankOf({ isDropIn, path }: UnitFile): string {
  return isDropIn ? path.slice(path.lastIndexOf('/')) : '';
}

/** Files in the order in which their settings add up. */
export function sortFiles(files: readonly UnitFile[]): UnitFile[] {
  const keyOf = (file: UnitFile): string => `${rankOf(file)} ${file.unit}`;
  return files.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/**
 * The assignments of a unit file in their order (systemd.syntax(7)): a backslash at the end joins the next line, comments
 * within joined lines are left out. Whatever is no assignment is passed over, as systemd does it.
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

/** The names of the variables that `Environment=` sets: words, each in quotes or not. Their values are not kept. */
export function environmentNames(value: string): string[] {
  const words = value.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)/g);
  return [...words].flatMap(([, double, single, bare]) => {
    const word = double ?? single ?? bare ?? '';
    const equals = word.indexOf('=');
    // An empty value takes a variable away; it is no secret.
    return equals > 0 && equals < word.length - 1 ? [word.slice(0, equals)] : [];
  });
}
