import { parseName } from '../../src/names.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { canonicalSetName, memberName } from '../../src/sets.ts';
import type { CredentialClient } from '../client.ts';
import { GROUP_WORDS, shownOptions } from './arguments.ts';
import { GLOBAL_OPTIONS, type Command, type Completion, type Option, type Options } from './command.ts';
import { localUnits } from './local-units.ts';
import { localGroups, localUsers } from './principals.ts';

/** The answer to a shell's completion script, see {@link COMPLETION_SCRIPTS}. */
export type Answer =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  /** The command line of another command begins at word `first`. */
  | { readonly kind: 'command'; readonly first: number };

/** Most words that a shell is offered. */
const WORDS_MAX = 1000;

/** How long names are read from the daemon, in milliseconds: a person at the shell waits no longer. */
const GATHERING_MS = 1000;

/**
 * Returns the words that fit at a place of a command line.
 *
 * @param line the words of the line, `cio` the first
 * @param index index of the word that is being typed
 * @param connect opens a connection to the daemon; called only if names from it are needed
 */
export async function completeLine(
  line: readonly string[],
  index: number,
  commands: readonly Command[],
  connect: () => Promise<CredentialClient>,
): Promise<Answer> {
  const current = line[index] ?? '';
  const place = findPlace(
    line.slice(0, index),
    commands.filter(({ isHidden }) => isHidden !== true),
  );
  if ('first' in place) return { kind: 'command', first: place.first };
  const { completes } = place;
  if (!current.startsWith('-')) return completeWith(completes, current, connect);
  const [name = ''] = current.slice(2).split('=', 1);
  const option = place.options[name];
  if (current.includes('=') && option !== undefined) {
    const answer = await completeWith(option.completes, current.slice(name.length + 3), connect);
    if (answer.kind !== 'words') return answer;
    return { kind: 'words', words: answer.words.map((word) => `--${name}=${word}`) };
  }
  return matching(
    shownOptions(place.options).map((word) => `--${word}`),
    current,
  );
}

type Place = { readonly first: number } | { readonly options: Options; readonly completes: Completion | undefined };

/** Determines from the words before the current one what may stand in its place. */
function findPlace(before: readonly string[], commands: readonly Command[]): Place {
  let isInGroup = false;
  let words: string[] = [];
  let command: Command | undefined;
  for (let index = 1; index < before.length; index += 1) {
    const word = before[index] ?? '';
    const options: Options = { ...command?.options, ...GLOBAL_OPTIONS };
    if (word === '--' && command?.takesCommand === true) return { first: index + 1 };
    const option = optionOf(word, options);
    if (option !== undefined && option.type !== 'boolean' && !word.includes('=')) {
      if (index === before.length - 1) return { options: {}, completes: option.completes ?? [] };
      index += 1;
    }
    if (word.startsWith('-')) continue;
    if (!isInGroup) isInGroup = GROUP_WORDS.includes(word);
    else words.push(word);
    if (command !== undefined || !isInGroup) continue;
    const typed = words.join(' ');
    command = commands.find(({ name, aliases = [] }) => name === typed || aliases.includes(typed));
    if (command !== undefined) words = [];
  }
  if (!isInGroup) return { options: GLOBAL_OPTIONS, completes: GROUP_WORDS.slice(0, 1) };
  if (command === undefined) return { options: GLOBAL_OPTIONS, completes: nextWords(words, commands) };
  const positionals = Object.values(command.positionals);
  const last = positionals.at(-1);
  const isOpenEnded = last?.count === 'some' || last?.count === 'any';
  const positional = positionals[words.length] ?? (isOpenEnded ? last : undefined);
  return { options: { ...command.options, ...GLOBAL_OPTIONS }, completes: positional?.completes ?? [] };
}

function optionOf(word: string, options: Options): Option | undefined {
  if (word.startsWith('--')) return options[word.slice(2)];
  return word.startsWith('-') ? Object.values(options).find(({ short }) => short === word.slice(1)) : undefined;
}

function nextWords(words: readonly string[], commands: readonly Command[]): string[] {
  const names = commands.map(({ name }) => name.split(' '));
  const following = names.filter((name) => words.every((word, index) => name[index] === word));
  return [...new Set(following.flatMap((name) => name[words.length] ?? []))];
}

async function completeWith(
  completes: Completion | undefined,
  current: string,
  connect: () => Promise<CredentialClient>,
): Promise<Answer> {
  if (completes === 'file') return { kind: 'files' };
  if (completes === undefined) return { kind: 'words', words: [] };
  if (typeof completes !== 'string') return matching(completes, current);
  if (completes === 'user') return matching([...localUsers().values()], current);
  if (completes === 'unit') return matching(localUnits(), current);
  if (completes === 'group') return matching([...localGroups().values()], current);
  const others = completes === 'new' ? PROVIDERS.keys() : [];
  return matching([...others, ...(await namesOf(completes, current, connect))], current);
}

/** Reads names from the daemon; returns none if it does not answer. */
async function namesOf(
  what: 'credential' | 'set' | 'target' | 'new' | 'slot',
  current: string,
  connect: () => Promise<CredentialClient>,
): Promise<string[]> {
  try {
    await using client = await connect();
    if (what === 'slot') return (await client.call('ListSlots', {})).slots.map(({ id }) => id);
    const names: string[] = [];
    const end = performance.now() + GATHERING_MS;
    const pattern = what === 'credential' && /^[a-z0-9_.-]+$/.test(current) ? [`${current}*`] : [];
    for await (const { credentials, sets } of client.stream('List', { patterns: pattern })) {
      if (what === 'credential' || what === 'target') names.push(...credentials.map(({ name }) => name).filter(isName));
      for (const { set, missing } of sets) {
        if (canonicalSetName(set) !== set) continue;
        if (what === 'set' || what === 'target') names.push(set);
        else if (what === 'new') names.push(...missing.map((field) => memberName(set, field)).filter(isName));
      }
      if (names.length > WORDS_MAX || performance.now() > end) break;
    }
    return names;
  } catch {
    return [];
  }
}

/** Tells whether a text is a valid name. Words can harm a shell, and the daemon that sent them need not be ours. */
function isName(text: string): boolean {
  try {
    return parseName(text) === text;
  } catch {
    return false;
  }
}

function matching(words: readonly string[], current: string): Answer {
  const fitting = words.filter((word) => word.startsWith(current) && /^[\w@=.,:+-]+$/.test(word));
  return { kind: 'words', words: [...new Set(fitting)].toSorted().slice(0, WORDS_MAX) };
}
