import type { Finding as WireFinding } from '../../src/protocol/interface.generated.ts';
import { CHECKS, describeFinding, REASONS } from '../../src/validation.ts';
import type { Reason } from '../../src/validation.ts';
import { titleOfCheck } from './check-title.ts';
import { GREEN, GREY, paint, RED, YELLOW } from './colours.ts';
import { sign, type Sign } from './signs.ts';
import { printable } from './text.ts';

const MARKS: { readonly [State in WireFinding['state']]: readonly [mark: Sign, colour: string] } = {
  passed: ['✔', GREEN],
  warning: ['!', YELLOW],
  failed: ['✖', RED],
  skipped: ['–', GREY],
};

const TITLE_WIDTH: number = Math.max(...CHECKS.map((check) => titleOfCheck(check).length));
const INDENT: string = ' '.repeat(TITLE_WIDTH + 6);

/** Returns the line above the findings of a set. */
export function formatTitle(set: string): string {
  return `${printable(set)}\n`;
}

/** Returns the text of the progress line: the check that follows the last one with a finding. */
export function formatTrying(findings: readonly WireFinding[]): string {
  const known: readonly string[] = CHECKS;
  const last = Math.max(-1, ...findings.map(({ check }) => known.indexOf(check)));
  const next = CHECKS[last + 1];
  return next === undefined ? 'Trying' : `Trying: ${titleOfCheck(next)}`;
}

/**
 * Formats the findings of a set: a line for each, and one for its hint. Checks skipped after a failure are left out.
 */
export function formatFindings(set: string, findings: readonly WireFinding[], isColoured: boolean): string {
  return findings
    .filter((finding) => !isConsequence(finding))
    .map((finding) => formatFinding(set, finding, isColoured))
    .join('');
}

/** Formats one line that names all checks skipped after a failure; empty if there are none. */
export function formatNotTried(findings: readonly WireFinding[], isColoured: boolean): string {
  const titles = findings.filter(isConsequence).map(titleOf);
  return titles.length === 0
    ? ''
    : `  ${paintedMark('skipped', isColoured)} not tried after that: ${titles.join(', ')}\n`;
}

function formatFinding(set: string, wire: WireFinding, isColoured: boolean): string {
  const { text, hint } = explanationOf(set, wire);
  const about = wire.name ? `${wire.name}: ` : '';
  const took = wire.ms === null || wire.ms === undefined || text !== '' ? '' : `${wire.ms} ms`;
  const line =
    `  ${paintedMark(wire.state, isColoured)} ${titleOf(wire).padEnd(TITLE_WIDTH)}  ${printable(`${about}${text}${took}`)}`.trimEnd();
  return hint === undefined ? `${line}\n` : `${line}\n${INDENT}${sign('→')} ${printable(hint)}\n`;
}

/**
 * Formats a mistake on one line: the credential, and what is wrong with it.
 *
 * @param isHinted adds what to do about it
 */
export function formatMistake(set: string, wire: WireFinding, isHinted = true): string {
  const { text, hint } = explanationOf(set, wire);
  return `${wire.name ? `${wire.name}: ` : ''}${text}${hint === undefined || !isHinted ? '' : `; ${hint}`}`;
}

/**
 * Formats the result on one line: the first failure, or that there is none, with the numbers of warnings and skipped
 * checks.
 */
export function formatResult(set: string, findings: readonly WireFinding[], isHinted = true): string {
  const broken = findings.find(({ state }) => state === 'failed');
  if (broken !== undefined) {
    return `${set}: ${titleOf(broken)}: ${formatMistake(set, broken, isHinted)}`;
  }
  const count = (wanted: WireFinding['state']): number => findings.filter(({ state }) => state === wanted).length;
  const skipped = count('skipped') === 0 ? '' : `, ${count('skipped')} not tried`;
  const warned = count('warning') === 0 ? '' : `, ${count('warning')} with a warning`;
  return `${set} works: ${count('passed')} checks passed${warned}${skipped}`;
}

function titleOf({ check }: WireFinding): string {
  return printable(titleOfCheck(check));
}

function paintedMark(state: WireFinding['state'], isColoured: boolean): string {
  const [mark, colour] = MARKS[state];
  return paint(sign(mark), colour, isColoured);
}

function isConsequence({ state, reason }: WireFinding): boolean {
  return state === 'skipped' && reason === 'earlier_failure';
}

/** Puts the name of the set into a hint, and appends that of the credential if it is a missing field. */
function withNames(hint: string, set: string, { reason, name }: WireFinding): string {
  const named = hint.replace(/\bSET\b/, () => set);
  return reason === 'missing_field' && name ? `${named} ${name}` : named;
}

function explanationOf(set: string, wire: WireFinding): { readonly text: string; readonly hint?: string } {
  const reason = wire.reason;
  // A newer daemon may send reasons that are not known here.
  if (reason && !Object.hasOwn(REASONS, reason)) return { text: wire.subject ? `${reason} (${wire.subject})` : reason };
  const finding = {
    ...(reason ? { reason: reason as Reason } : {}),
    ...(wire.field ? { field: wire.field } : {}),
    ...(wire.subject ? { subject: wire.subject } : {}),
  };
  const { text, hint } = describeFinding(finding);
  return hint === undefined ? { text } : { text, hint: withNames(hint, set, wire) };
}
