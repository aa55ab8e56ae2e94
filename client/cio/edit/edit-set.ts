import { isCredentialError } from '../../../src/errors.ts';
import { ImportError } from '../../../src/import/import-error.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { memberName } from '../../../src/sets.ts';
import { CommandError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { bytesOf } from '../value-output.ts';
import { editText } from './editor.ts';
import { MemoryFolder } from './memory-folder.ts';
import { formatSet, readSetChanges, type EditedSet } from './set-document.ts';
import { storeChanges, reportUnchanged } from './store-changes.ts';
import { confirmReopen } from './confirm-reopen.ts';

/** Begins the line above a document that is opened again; that line is removed the next time. */
const REMARK = '# NOT STORED: ';

/** Times that a document is opened: a program in place of an editor may never produce a valid one. */
const ROUNDS_MAX = 10;

/** Lets the user edit a set as YAML, until it is valid, or no longer changes anything. */
export async function editSet(session: Session, target: string, owner: number | null): Promise<number> {
  let current = await readSet(session, target, owner);
  let text = formatSet(current, []);
  let isStored = true;
  for (;;) {
    const changes = await editUntilValid(text, current, isStored);
    if (changes.size === 0) return reportUnchanged(session);
    const values = new Map([...changes].map(([field, value]) => [memberName(current.set, field), value]));
    try {
      await storeChanges(session, { values, generation: current.generation, owner });
      return 0;
    } catch (error) {
      if (!isCredentialError(error, 'Conflict')) throw error;
      if (!(await confirmReopen(session, `Not stored: set ${current.set} was changed in the meantime.`))) throw error;
      const before = current;
      isStored = false;
      current = await readSet(session, target, owner);
      text = formatSet({ ...current, values: new Map([...current.values, ...changes]) }, [
        describeConflict(before, current, changes),
      ]);
    }
  }
}

interface OpenedSet extends EditedSet {
  readonly generation: number;
}

async function readSet(session: Session, target: string, owner: number | null): Promise<OpenedSet> {
  return session.withClient(async (client) => {
    const reply = await client.call('GetSet', { set: target, allowIncomplete: true, owner });
    const values = new Map<string, string>();
    const binary: string[] = [];
    for (const member of reply.members) {
      const text = decodeAndWipe(bytesOf(member, client.socket));
      if (text === undefined) binary.push(member.field);
      else values.set(member.field, text);
    }
    const { set, provider, generation } = reply;
    return { set, provider: PROVIDERS.get(provider ?? ''), values, binary, generation };
  });
}

/**
 * Lets the user edit a document until it is valid.
 *
 * @param isStored the document is what is stored: if it comes back unedited, nothing changes, even if it is not valid
 * @throws CommandError `InvalidInput` if an invalid document comes back unedited, or is still invalid after
 *   {@link ROUNDS_MAX} rounds
 */
async function editUntilValid(
  text: string,
  current: OpenedSet,
  isStored: boolean,
): Promise<ReadonlyMap<string, string>> {
  let given = text;
  for (let round = 1; ; round += 1) {
    const typed = await editOnce(given);
    if (isStored && typed === text) return new Map();
    try {
      return readSetChanges(typed, current);
    } catch (error) {
      if (!(error instanceof ImportError)) throw error;
      const plain = withoutRemark(typed);
      // The line number in the document without the remark, which takes one line.
      const line = error.line === undefined ? undefined : error.line - (plain === typed ? 0 : 1);
      if (round === ROUNDS_MAX || (round > 1 && plain === withoutRemark(given))) {
        throw new CommandError('InvalidInput', `${placeOf(line)}${error.reason}`, 'nothing was changed');
      }
      given = `${REMARK}${placeOf(line === undefined ? undefined : line + 1)}${error.reason}\n${plain}`;
    }
  }
}

function placeOf(line: number | undefined): string {
  return line === undefined ? '' : `line ${line}: `;
}

async function editOnce(text: string): Promise<string> {
  // A new folder each time: between edits, there is no file.
  using folder = MemoryFolder.make(process.env);
  return await editText(folder, 'set.yaml', text);
}

function withoutRemark(text: string): string {
  return text.startsWith(REMARK) ? text.slice(text.indexOf('\n') + 1) : text;
}

function describeConflict(before: EditedSet, now: EditedSet, changes: ReadonlyMap<string, string>): string {
  const others = [...new Set([...before.values.keys(), ...now.values.keys()])].filter(
    (id) => before.values.get(id) !== now.values.get(id),
  );
  const both = others.filter((id) => changes.has(id));
  const clash = both.length === 0 ? '' : ` For ${both.join(', ')}, what you typed is below, not what is stored now.`;
  return `The set was changed by somebody else: ${others.join(', ') || 'no value'}.${clash}`;
}
