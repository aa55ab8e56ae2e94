import { EXIT } from '../../../src/errors.ts';
import type { WatchIn, WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { localUsers } from '../principals.ts';
import type { Session } from '../session.ts';
import { printable } from '../text.ts';
import { formatTime } from '../time.ts';
import { follow } from './follow.ts';
import type { WatchEvent } from './watch-state.ts';

/** Prints the initial state and then every change, a line each, until interrupted or until the reader is gone. */
export async function printChanges(session: Session, parameters: WatchIn): Promise<number> {
  const users = localUsers();
  const listener = {
    onLost: (reason: 'gone' | 'locked') => {
      session.note(
        reason === 'gone'
          ? 'The daemon is gone; waiting until it is back.'
          : 'The store is locked; waiting until it is open.',
      );
    },
    onBack: () => session.note('Watching again.'),
  };
  for await (const { isFirst, events } of follow(session, parameters, listener)) {
    const shown = isFirst ? events.map(asPresent).toSorted(byName) : events;
    if (!session.isJson && isFirst && shown.length === 0) session.note('There is nothing yet; waiting.');
    for (const each of shown) session.print(documentOf(each), () => formatEvent(each, Date.now(), users));
    if (session.isJson && isFirst) session.printDocument({ event: 'settled' });
    if (session.isUnread) return EXIT.done;
  }
  throw new TypeError('a watch has no end');
}

function asPresent(event: WatchEvent): WatchEvent {
  return event.event === 'gone' ? event : { ...event, event: 'present' };
}

/** Sorts credentials before sets, each by name and owner. */
function byName(a: WatchEvent, b: WatchEvent): number {
  const [first, second] = [keyOf(a), keyOf(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}

function keyOf(event: WatchEvent): string {
  const { name, owner } = partsOf(event);
  return `${event.kind} ${name} ${owner}`;
}

/** The document for a line of JSON: `event` and `kind`, and the fields from the interface. */
function documentOf(event: WatchEvent): object {
  if (event.event === 'gone') return event;
  return { event: event.event, kind: event.kind, ...event.item };
}

function formatEvent(event: WatchEvent, nowMs: number, users: ReadonlyMap<number, string>): string {
  const { name, owner, details } = partsOf(event);
  const whose = owner === 0 ? '' : `  (${users.get(owner) ?? `uid ${owner}`})`;
  const line = `${formatTime(nowMs)}  ${event.event.padEnd(7)}  ${event.kind.padEnd(10)}  ${name}${details}${whose}`;
  return `${printable(line)}\n`;
}

function partsOf(event: WatchEvent): { readonly name: string; readonly owner: number; readonly details: string } {
  if (event.event === 'gone') return { name: event.name, owner: event.owner, details: '' };
  const { owner, generation } = event.item;
  if (event.kind === 'set') {
    return { name: event.item.set, owner, details: `  ${formatState(event.item)}, generation ${generation}` };
  }
  return { name: event.item.name, owner, details: `  version ${event.item.version}, generation ${generation}` };
}

function formatState({ ready, missing, health }: WatchedSet): string {
  if (!ready) return `lacks ${missing.join(', ')}`;
  return health === 'failed' ? 'fails' : health === 'passed' ? 'ready, proved' : 'ready, unproved';
}
