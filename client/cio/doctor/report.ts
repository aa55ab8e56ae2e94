import { GREEN, GREY, paint, RED, YELLOW } from '../colours.ts';
import { sign, type Sign } from '../signs.ts';
import { printable } from '../text.ts';
import type { CheckResult, Severity, State } from './verdict.ts';

const MARKS: { readonly [Each in State | Severity]: readonly [mark: Sign, colour: string] } = {
  ok: ['✔', GREEN],
  warning: ['!', YELLOW],
  error: ['✖', RED],
  skipped: ['–', GREY],
  hint: ['·', GREY],
};

const INDENT = '    ';

/** Formats the report for the terminal: a line for each check, then its findings. A command has a line to itself. */
export function formatReport(checks: readonly CheckResult[], isColoured: boolean): string {
  const mark = (of: State | Severity): string => {
    const [character, colour] = MARKS[of];
    return paint(sign(character), colour, isColoured);
  };
  const lines = checks.flatMap(({ title, state, findings, reason }) => [
    `${mark(state)} ${title}${reason !== undefined && state === 'skipped' ? `: not checked: ${printable(reason)}` : ''}`,
    ...findings.flatMap(({ severity, what, why, fix }) => [
      `  ${mark(severity)} ${printable(what)}`,
      `${INDENT}${printable(why)}`,
      ...(fix === undefined ? [] : [`${INDENT}fix: ${printable(fix)}`]),
    ]),
    ...(reason !== undefined && state !== 'skipped' ? [`  ${mark('skipped')} not checked: ${printable(reason)}`] : []),
  ]);
  return [...lines, '', summarize(checks), ''].join('\n');
}

function summarize(checks: readonly CheckResult[]): string {
  const count = (wanted: State): number => checks.filter(({ state }) => state === wanted).length;
  const hints = checks.flatMap(({ findings }) => findings).filter(({ severity }) => severity === 'hint').length;
  const parts = [
    `${count('ok')} of ${checks.length} checks passed`,
    ...(count('error') > 0 ? [`${count('error')} found an error`] : []),
    ...(count('warning') > 0 ? [`${count('warning')} gave a warning`] : []),
    ...(count('skipped') > 0 ? [`${count('skipped')} could not check everything`] : []),
    ...(hints > 0 ? [`${hints} ${hints === 1 ? 'hint' : 'hints'}`] : []),
  ];
  return `${parts.join(', ')}.`;
}
