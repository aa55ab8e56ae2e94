import { credentialOf, PROBES, REMOVALS } from '../../daemon/access/personas.ts';
import type { Persona, Right } from '../../daemon/access/personas.ts';

/**
 * Who may make a call. `read` and `write`: callers with this right on its target; for all others the target does not
 * exist. `store`: callers who may store for the owner. `administer`: administrators. `anybody`: everybody, about what
 * they see.
 */
export type Rule = 'read' | 'write' | 'store' | 'administer' | 'anybody';

/** One form of calling a method. */
export interface Row {
  readonly method: string;
  readonly rule: Rule;
  /** The kind of target: a set, its credential, or none. */
  readonly about: 'name' | 'set' | 'nothing';
  /** Makes the parameters for a target. */
  parameters(target: string): object;
  /** The call removes its target for those who may do so, and is therefore not made by them on shared targets. */
  readonly harm?: 'removes';
  /** The call is sent with `more`: it is `Watch`, which requires that. */
  readonly isStream?: true;
}

const NO_COPY = { upload: '0123456789abcdef', sha256: '0'.repeat(64) };

/** All methods, each called in a form that leaves the targets usable for the other personas. */
export const ROWS: readonly Row[] = [
  ...PROBES.map(([method, about, needs, parameters]): Row => ({ method, about, rule: ruleOf(needs), parameters })),
  ...REMOVALS.map(([method, about, needs, parameters]): Row => ({
    method,
    about,
    rule: ruleOf(needs),
    parameters,
    harm: 'removes',
  })),
  { method: 'Validate', about: 'set', rule: 'read', parameters: (target) => ({ target, shapeOnly: true }) },
  {
    method: 'Create',
    about: 'name',
    rule: 'store',
    parameters: (name) => ({ credentials: [{ name, value: 'second' }], replace: true }),
  },
  { method: 'Generate', about: 'name', rule: 'store', parameters: (name) => ({ name, replace: true }) },
  {
    method: 'Prove',
    about: 'name',
    rule: 'store',
    // A set without a provider: the call fails before any server is contacted, and stores nothing.
    parameters: (name) => ({ credentials: [{ name, value: 'proved' }], replace: true }),
  },
  { method: 'List', about: 'set', rule: 'anybody', parameters: (pattern) => ({ patterns: [pattern] }) },
  { method: 'List', about: 'nothing', rule: 'administer', parameters: () => ({ allOwners: true }) },
  {
    method: 'Watch',
    about: 'set',
    rule: 'anybody',
    isStream: true,
    parameters: (pattern) => ({ patterns: [pattern] }),
  },
  { method: 'Status', about: 'nothing', rule: 'anybody', parameters: () => ({}) },
  ...(
    [
      ['ListSlots', {}],
      ['AddSlot', { kind: 'recovery' }],
      ['RemoveSlot', { id: '00000000' }],
      ['Fsck', {}],
      ['Fsck', { repair: true }],
      ['Rekey', {}],
      ['Backup', {}],
      ['UploadCopy', { piece: 'AAAA' }],
      ['Restore', NO_COPY],
      ['Lock', {}],
      ['Unlock', {}],
    ] as const
  ).map(([method, parameters]): Row => ({
    method,
    about: 'nothing',
    rule: 'administer',
    parameters: () => parameters,
  })),
];

/** Returns the target of a call as its parameters name it. */
export function targetOf({ about }: Row, set: string): string {
  return about === 'name' ? credentialOf(set) : set;
}

/**
 * The expected outcome of a call; `seen` where it depends on what the persona sees, so that the reply itself is
 * checked.
 */
export type Verdict =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly error: string; readonly fields: object }
  | { readonly kind: 'seen'; readonly isThere: boolean };

/** The access rules, all of them. */
export function verdictOf({ rule }: Row, persona: Persona, right: Right, target: string, isOwn: boolean): Verdict {
  const isAdministrator = persona.isAdministrator === true;
  switch (rule) {
    case 'anybody':
      return { kind: 'seen', isThere: right !== 'none' };
    case 'administer':
      return isAdministrator ? { kind: 'done' } : denied({ right: 'administer' });
    case 'store':
      return isAdministrator || isOwn ? { kind: 'done' } : denied({ right: 'write' });
    case 'read':
    case 'write':
      if (right === 'none') return { kind: 'refused', error: 'NotFound', fields: { name: target } };
      return rule === 'write' && right === 'read' ? denied({ name: target, right: 'write' }) : { kind: 'done' };
  }
}

function denied(fields: object): Verdict {
  return { kind: 'refused', error: 'AccessDenied', fields };
}

function ruleOf(right: Right): Rule {
  return right === 'none' ? 'anybody' : right;
}
