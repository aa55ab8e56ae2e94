import { EXIT } from '../../../src/errors.ts';
import type { WatchIn, WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { localUsers } from '../principals.ts';
import type { Session } from '../session.ts';
import { printable } from '../text.ts';
import { formatTime } from '../time.ts';
import { follow } from './follow.ts';
import type { Told } from './picture.ts';

/** Prints the initial state and then every change, a line each, until interrupted or until the reader is gone. */
export async function printChanges(session: Session, parameters: WatchIn): Promise<number> {
  const users = localUsers();
  const events = {
    onLost: (reason: 'gone' | 'locked') => {
      session.note(
        reason === 'gone'
          ? 'The daemon is gone; waiting until it is back.'
          : 'The store is locked; waiting until it is open.',
      );
    },
    onBack: () => session.note('Watching again.'),
  };
  for await (const { isFirst, told } of follow(session, parameters, events)) {
    const shown = isFirst ? told.map(asPresent).toSorted(byName) : told;
    if (!session.isJson && isFirst && shown.length === 0) session.note('There is nothing yet; waiting.');
    for (const each of shown) session.print(documentOf(each), () => formatTold(each, Date.now(), users));
    if (session.isJson && isFirst) session.printDocument({ event: 'settled' });
    if (session.isUnread) return EXIT.done;
  }
  throw new TypeError('a watch has no end');
}

function asPresent(told: Told): Told {
  return told.event === 'gone' ? told : { ...told, event: 'present' };
}

/** Sorts credentials before sets, each by name and owner. */
function byName(a: Told, b: Told): number {
  const [first, second] = [keyOf(a), keyOf(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}

function keyOf(told: Told): string {
  const { name, owner } = partsOf(told);
  return `${told.kind} ${name} ${owner}`;
}

/** The document for a line of JSON: `event` and `kind`, and the fields from the interface. */
function documentOf(told: Told): object {
  if (told.event === 'gone') return told;
  const { event, kind, item } = told;
  return { event, kind, ...item };
}

function formatTold(told: Told, nowMs: number, users: ReadonlyMap<number, string>): string {
  const { name, owner, details } = partsOf(told);
  const whose = owner === 0 ? '' : `  (${users.get(owner) ?? `uid ${owner}`})`;
  const line = `${formatTime(nowMs)}  ${told.event.padEnd(7)}  ${told.kind.padEnd(10)}  ${name}${details}${whose}`;
  return `${printable(line)}\n`;
}

function partsOf(told: Told): { readonly name: string; readonly owner: number; readonly details: string } {
  if (told.event === 'gone') return { name: told.name, owner: told.owner, details: '' };
  const { owner, generation } = told.item;
  if (told.kind === 'set') {
    return { name: told.item.set, owner, details: `  ${formatState(told.item)}, generation ${generation}` };
  }
  return { name: told.item.name, owner, details: `  version ${told.item.version}, generation ${generation}` };
}

function formatState({ ready, missing, health }: WatchedSet): string {
  if (!ready) return `lacks ${missing.join(', ')}`;
  return health === 'failed' ? 'fails' : health === 'passed' ? 'ready, proved' : 'ready, unproved';
}
