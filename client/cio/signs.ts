/** What stands for signs of ours where there is ASCII only, of the same width. */
const ASCII = { '!': '!', '✔': '+', '✖': 'x', '–': '-', '·': '.', '→': '>', '…': '~', '•': '*' } as const;

/**
 * Tells whether the locale has more than ASCII: its character set is in its name, as in `de_DE.UTF-8` (locale(7)). Where none
 * is set, as under cron, nobody said that it has not.
 */
export function hasUnicode(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'];
  return !locale || /utf-?8/i.test(locale);
}

export type Sign = keyof typeof ASCII;

/** A sign as the locale can show it. */
export function sign(character: Sign): string {
  return hasUnicode(process.env) ? character : ASCII[character];
}
