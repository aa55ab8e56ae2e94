import { checkBoolean } from '../../../src/providers/common-fields.ts';
import type { Field, Provider } from '../../../src/providers/provider.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { CommandError, usageError } from '../command-error.ts';
import type { Dialogue } from '../prompter.ts';
import type { Session } from '../session.ts';
import { refusalOf, type GivenValue, type GivenValues } from './given-values.ts';
import { sign } from '../signs.ts';
import { readFileText } from './read-text.ts';
import { assertIsNew, type SetTarget } from './set-target.ts';

const SOURCE = 'what was entered';

/** Shown for every secret: the number of dots does not reveal its length. */
const DOTS = sign('•').repeat(8);

/** @throws CommandError `Usage` if there is no terminal to ask on */
export function assertCanAsk(session: Session): void {
  if (session.prompter.canAsk) return;
  throw usageError(
    'no source of the fields is given, and there is no terminal to ask on',
    'give --from-env, --from-file PATH, or options of its provider; to read one value from a pipe, give - as VALUE',
  );
}

/** Asks for a provider with a menu. */
export function askProvider(session: Session): Promise<Provider> {
  const providers = [...PROVIDERS.values()];
  return session.prompter.dialogue(async ({ ask, tell, refuse }) => {
    for (const [index, { id, label }] of providers.entries()) tell(`  ${index + 1}  ${id.padEnd(8)}${label}`);
    for (;;) {
      const answer = (await ask('Provider', { isHidden: false })).trim().toLowerCase();
      const chosen = providers[Number(answer) - 1] ?? PROVIDERS.get(answer);
      if (chosen !== undefined) return chosen;
      refuse(`There is no such provider: enter a number from 1 to ${providers.length}, or a name.`);
    }
  });
}

/** The fields to ask for. */
export interface FieldsRequest {
  readonly target: SetTarget;
  readonly provider: Provider;
  /** Values that are already known, and not asked for. */
  readonly given: GivenValues;
  /** The answers of an earlier round, each of which the user may keep. */
  readonly before: GivenValues;
}

/**
 * Asks for the fields of a provider one by one: the required ones, then the others if the user wants. Fields that the
 * set already has are not asked for, or with `--replace`, may be kept.
 *
 * @throws CommandError `Interrupted`, `NoValue` on Ctrl-D
 */
export async function askFields(session: Session, request: FieldsRequest): Promise<GivenValues> {
  const { target, provider, given } = request;
  const isOpen = ({ id }: Field): boolean =>
    id !== 'provider' && !given.has(id) && (target.isReplaced || !target.fields.has(id));
  const open = provider.fields.filter(isOpen);
  const required = open.filter(({ isRequired }) => isRequired);
  if (required.length === 0 && !target.isReplaced) assertIsNew(target, target.fields);
  return session.prompter.dialogue(async (dialogue) => {
    dialogue.tell(`${provider.label}, set ${target.set}. Ctrl-C cancels, and stores nothing.`);
    const questions = new Questions(dialogue, request);
    for (const field of required) await questions.askRequired(field);
    await questions.askOptional(open.filter(({ isRequired }) => !isRequired));
    return questions.answers;
  });
}

/**
 * Shows the values, and asks whether to store them.
 *
 * @throws CommandError `NotConfirmed`
 */
export async function confirmValues(session: Session, provider: Provider, values: GivenValues): Promise<void> {
  await session.prompter.dialogue(async ({ ask, tell }) => {
    const shown = provider.fields.filter(({ id }) => values.has(id));
    const width = Math.max(...shown.map(({ label }) => label.length));
    tell('');
    for (const { id, label, isSecret } of shown) {
      tell(`  ${label.padEnd(width)}  ${isSecret ? DOTS : firstLine(values.get(id)?.text ?? '')}`);
    }
    if (!(await assents(ask, 'Store it?'))) throw new CommandError('NotConfirmed', 'not confirmed; nothing was stored');
  });
}

/** Asks whether to correct the answers, after a trial with them has failed. */
export function confirmRetry(session: Session): Promise<boolean> {
  return session.prompter.dialogue(({ ask }) => assents(ask, 'Correct the answers, and try again?'));
}

/** Asks a question that Enter answers with yes. */
async function assents(ask: Dialogue['ask'], question: string): Promise<boolean> {
  return /^(?:y(?:es)?)?$/i.test((await ask(`${question} [Y/n]`, { isHidden: false })).trim());
}

function firstLine(text: string): string {
  const [first = '', ...more] = text.split('\n');
  return more.length === 0 ? first : `${first} ${sign('…')}`;
}

class Questions {
  readonly answers: Map<string, GivenValue>;
  readonly #dialogue: Dialogue;
  readonly #target: SetTarget;
  readonly #before: ReadonlyMap<string, GivenValue>;

  constructor(dialogue: Dialogue, { target, given, before }: FieldsRequest) {
    this.#dialogue = dialogue;
    this.#target = target;
    this.answers = new Map(given);
    // The user may now give keys in place of the machine's own identity.
    this.#before = new Map([...before].filter(([id]) => id !== 'use_iam'));
  }

  /** Asks until there is an answer. For a key, the machine's own identity is an answer, too. */
  async askRequired(field: Field): Promise<void> {
    const mayHaveIdentity = field.isReplacedByIdentity === true;
    if (mayHaveIdentity && this.answers.get('use_iam')?.text === 'true') return;
    for (;;) {
      if (await this.#askOne(field)) return;
      if (this.#target.fields.has(field.id)) return;
      if (mayHaveIdentity && (await this.#agree("Use the machine's own identity in place of keys?"))) {
        this.answers.set('use_iam', { text: 'true', source: SOURCE });
        return;
      }
      this.#dialogue.refuse(`${field.label} is needed.`);
    }
  }

  /** Asks for the optional fields if the user wants: they are many, and seldom needed. */
  async askOptional(fields: readonly Field[]): Promise<void> {
    const open = fields.filter(({ id }) => !this.answers.has(id));
    if (open.length === 0) return;
    const labels = open.map(({ label }) => label.charAt(0).toLowerCase() + label.slice(1)).join(', ');
    this.#dialogue.tell(`There are also ${labels}.`);
    if (!(await this.#agree('Ask for them?'))) {
      for (const field of open) this.#keep(field);
      return;
    }
    this.#dialogue.tell('Press Enter to skip one.');
    for (const field of open) await this.#askOne(field);
  }

  /** Asks until the answer is valid. Returns false for an empty answer if there is none from before. */
  async #askOne(field: Field): Promise<boolean> {
    for (;;) {
      const text = await this.#read(field);
      if (text === '') return this.#keep(field);
      const reason = text === undefined ? undefined : refusalOf(field, text);
      if (text !== undefined && reason === undefined) {
        this.answers.set(field.id, { text, source: SOURCE });
        return true;
      }
      if (reason !== undefined) this.#dialogue.refuse(`${field.label} is not valid: ${reason}.`);
    }
  }

  /** Reads one answer. Returns undefined if it was not usable, and the user was told why. */
  async #read(field: Field): Promise<string | undefined> {
    const question = this.#questionOf(field);
    if (field.input === 'textarea') return this.#readFile(field, question);
    const text = await this.#dialogue.ask(question, { isHidden: field.isSecret });
    return text === '' || !field.isSecret ? text : this.#repeated(text);
  }

  /** Asks for the path of a file, for a value of several lines or great length; `-` lets the user type it instead. */
  async #readFile(field: Field, question: string): Promise<string | undefined> {
    const path = await this.#dialogue.ask(`${question}, path of its file, or - to type it`, { isHidden: false });
    if (path === '') return '';
    if (path === '-') return this.#dialogue.ask(field.label, { isHidden: field.isSecret });
    try {
      return readFileText(path, undefined);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#dialogue.refuse(`${error.message}.`);
      return undefined;
    }
  }

  async #repeated(secret: string): Promise<string | undefined> {
    if ((await this.#dialogue.ask('Repeat', { isHidden: true })) === secret) return secret;
    this.#dialogue.refuse('The two entries differ.');
    return undefined;
  }

  #questionOf({ id, label, example, check }: Field): string {
    if (this.#target.fields.has(id) || this.#before.has(id)) return `${label} (Enter keeps it)`;
    if (check === checkBoolean) return `${label} (true or false)`;
    return example === undefined ? label : `${label} (as in ${example})`;
  }

  /** Keeps the answer from before, if there is one. */
  #keep({ id }: Field): boolean {
    const answer = this.#before.get(id);
    if (answer !== undefined) this.answers.set(id, answer);
    return answer !== undefined;
  }

  async #agree(question: string): Promise<boolean> {
    return /^y(?:es)?$/i.test((await this.#dialogue.ask(`${question} [y/N]`, { isHidden: false })).trim());
  }
}
