import { credentialOf, PROBES, REMOVALS } from '../../daemon/access/personas.ts';
import type { Persona, Right } from '../../daemon/access/personas.ts';

/**
 * Who may make a call. `read` and `write`: whoever has this right over what it is about, and to all others it does not
 * exist. `store`: whoever has the owner's credentials for his own. `administer`: administrators. `anybody`: all, about what
 * they see.
 */
export type Rule = 'read' | 'write' | 'store' | 'administer' | 'anybody';

/** A way to call a method. */
export interface Row {
  readonly method: string;
  readonly rule: Rule;
  /** What it is about: the set, its credential, or nothing in particular. */
  readonly about: 'name' | 'set' | 'nothing';
  /** What the text is made of that stands for what it is about. */
  parameters(target: string): object;
  /** It changes what there is for those who may do it: somebody who may has to be kept from it, or it has to be undone. */
  readonly harm?: 'removes';
  /** Called with `more`: it is `Watch`, which says nothing otherwise. */
  readonly isStream?: true;
}

const NO_COPY = { upload: '0123456789abcdef', sha256: '0'.repeat(64) };

/** What there is to be called, each in a form that leaves the others what they need. */
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
    // A set without a provider: that fails before anybody is asked, and nothing is stored.
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

/** What the call is about, as it is written in it. */
export function targetOf({ about }: Row, set: string): string {
  return about === 'name' ? credentialOf(set) : set;
}

/** What somebody is to be told; `seen` where it depends on what he sees, which is for him to be looked at. */
export type Verdict =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly error: string; readonly fields: object }
  | { readonly kind: 'seen'; readonly isThere: boolean };

/** The rules, all of them. */
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
