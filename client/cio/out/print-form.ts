import { isUtf8 } from 'node:buffer';
import { environmentOf } from '../../../src/environment.ts';
import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import { formatAws, formatVelero } from '../../../src/forms/aws.ts';
import { formatDotenv } from '../../../src/forms/dotenv.ts';
import { formatKopia } from '../../../src/forms/kopia.ts';
import { toObject } from '../../../src/forms/object.ts';
import { formatRclone } from '../../../src/forms/rclone.ts';
import { formatRestic } from '../../../src/forms/restic.ts';
import { refuseNul, requireComplete, type SetContent } from '../../../src/forms/set-content.ts';
import { formatExports } from '../../../src/forms/shell.ts';
import { isUuid, parseName } from '../../../src/names.ts';
import type { Methods } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { CommandError, usageError } from '../command-error.ts';
import { contentOf, getAnySet, membersOf } from '../set-environment.ts';
import type { Session } from '../session.ts';
import { printableJson } from '../text.ts';
import { bytesOf } from '../value-output.ts';
import { FORMS, type Form } from './forms.ts';
import { encryptForUnit } from './systemd-creds.ts';

/** What to print, and in which form. */
export interface FormRequest {
  readonly target: string;
  readonly form: string;
  readonly version: number | null;
  readonly owner: number | null;
}

/** The forms that exist for a credential as well as for a set. */
const VALUE_FORMS = ['json', 'yaml', 'systemd-creds'] as const satisfies readonly Form[];

type ValueForm = (typeof VALUE_FORMS)[number];

/** Formats a set as text, undefined if it does not suit the form. `notes` gets remarks for the user about the text. */
type SetForm = (content: SetContent, notes: string[]) => string | undefined;

const SET_FORMS: Readonly<Record<Exclude<Form, ValueForm>, SetForm>> = {
  env: (content) => formatExports(variablesOf(content)),
  dotenv: (content, notes) => {
    const { text, quoted, misread } = formatDotenv(variablesOf(content));
    if (quoted.length > 0) {
      notes.push(`Note: docker run --env-file would take the quotes as part of ${quoted.join(', ')}.`);
    }
    for (const [name, readers] of misread) {
      notes.push(`Note: ${name} is written as Compose reads it; ${readers.join(', ')} would read another value.`);
    }
    return text;
  },
  restic: formatRestic,
  rclone: formatRclone,
  kopia: formatKopia,
  aws: formatAws,
  velero: formatVelero,
};

/** Prints a credential or a set in a form for other programs. @throws CredentialError, CommandError */
export async function printForm(request: FormRequest, session: Session): Promise<void> {
  const { target } = request;
  const form = FORMS.find((known) => known === request.form);
  if (form === undefined) throw usageError('--output is not a known form', `the forms are ${FORMS.join(', ')}`);
  if (session.isJson && form !== 'json') throw usageError('--json and --output exclude each other', 'give one of them');
  await session.withClient(async (client) => {
    const credential = isValueForm(form) ? await readCredential(client, request) : undefined;
    if (credential !== undefined) return printCredential(session, form, credential, client.socket);
    if (request.version !== null) throw usageError('--version is for a credential, and this is a set');
    const reply = await getAnySet(client, target, request.owner);
    await printSet(session, form, reply, client);
  });
}

function isValueForm(form: Form): form is ValueForm {
  return VALUE_FORMS.some((known) => known === form);
}

/** Reads a credential; undefined if the target is a set. A credential takes precedence over a set of the same name. */
async function readCredential(
  client: CredentialClient,
  { target, version, owner }: FormRequest,
): Promise<Methods['Get']['out'] | undefined> {
  if (isUuid(target)) return undefined;
  const name = parseName(target);
  try {
    return await client.call('Get', { name, version, owner });
  } catch (error) {
    if (isCredentialError(error, 'NotFound') && !name.startsWith('cio_') && version === null) return undefined;
    throw error;
  }
}

async function printCredential(
  session: Session,
  form: string,
  reply: Methods['Get']['out'],
  socket: string,
): Promise<void> {
  const bytes = bytesOf(reply, socket);
  if (form === 'systemd-creds') session.printRaw(encryptForUnit(reply.name, bytes));
  else if (form === 'json') session.printDocument(reply);
  else {
    const { name, version, generation } = reply;
    const value = isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : bytes;
    session.printRaw(await toYaml({ name, version, generation, value }));
  }
}

async function printSet(
  session: Session,
  form: Form,
  reply: Methods['GetSet']['out'],
  client: CredentialClient,
): Promise<void> {
  if (form === 'systemd-creds') {
    const lines = membersOf(reply, client.socket).map(
      ({ name, bytes }) =>
        `SetCredentialEncrypted=${name}: ${encryptForUnit(name, bytes).toString().replaceAll(/\s/g, '')}\n`,
    );
    return session.printRaw(lines.join(''));
  }
  const content = contentOf(reply, client.socket);
  if (isValueForm(form)) {
    const object = toObject(content, await createdOf(client, reply));
    const text = form === 'yaml' ? await toYaml(object) : `${printableJson(object, 2)}\n`;
    session.printRaw(text);
    return;
  }
  const notes: string[] = [];
  const text = SET_FORMS[form](content, notes);
  if (text === undefined) throw notInFormError(form, content);
  session.printRaw(text);
  for (const note of notes) session.note(note);
}

/** Returns when the first of a set's credentials was created; undefined if they were removed meanwhile. */
async function createdOf(
  client: CredentialClient,
  { set, owner, members }: Methods['GetSet']['out'],
): Promise<number | undefined> {
  const names = new Set(members.map(({ name }) => name));
  const { credentials } = await client.call('List', { patterns: [set], owner });
  const times = credentials.filter(({ name }) => names.has(name)).map(({ created }) => created);
  return times.length === 0 ? undefined : Math.min(...times);
}

function variablesOf(content: SetContent): ReadonlyMap<string, string> {
  const provider = requireComplete(content);
  refuseNul(content);
  return environmentOf(content.set, provider, content.values).set;
}

function notInFormError(form: string, { set, provider }: SetContent): Error {
  if (provider === undefined) return new CredentialError('Incomplete', { set, missing: ['provider'] });
  const hint = 'it is for sets with an S3 access key and secret key';
  return new CommandError('NotInForm', `set ${set} (${provider.label}) has no form ${form}`, hint);
}

/** Formats YAML. Only this loads the library for it. */
async function toYaml(value: object): Promise<string> {
  const { formatObject } = await import('./object-yaml.ts');
  return formatObject(value);
}
