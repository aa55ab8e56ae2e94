/** The signs that the client uses, each with a substitute in ASCII of the same width. */
const ASCII = { '!': '!', '✔': '+', '✖': 'x', '–': '-', '·': '.', '→': '>', '…': '~', '•': '*' } as const;

/**
 * Tells whether the locale has more than ASCII: its name has the character set, as in `de_DE.UTF-8` (locale(7)). If no
 * locale is set, as under cron, Unicode is assumed.
 */
export function hasUnicode(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'];
  return !locale || /utf-?8/i.test(locale);
}

export type Sign = keyof typeof ASCII;

/** Returns a sign in a form that the locale can show. */
export function sign(character: Sign): string {
  return hasUnicode(process.env) ? character : ASCII[character];
}
