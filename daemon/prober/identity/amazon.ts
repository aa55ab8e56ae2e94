import { ProbeFailure } from '../failure.ts';
import type { Answer } from '../network/wire.ts';
import type { S3Keys } from '../providers/s3-target.ts';
import { parseObject } from '../json.ts';
import {
  missingIdentity,
  refusalOf,
  withMetadata,
  type SendMetadataRequest,
  type MetadataServices,
} from './metadata.ts';

const ROLES = '/latest/meta-data/iam/security-credentials/';

/** Lifetime of the metadata token (IMDSv2): as short as one validation allows. The token is not a key. */
const TOKEN_LIFETIME_S = 120;

/** Keys and tokens consist of visible ASCII: they go into headers. */
const HEADER_TEXT = /^[\x21-\x7e]{1,16384}$/;
const ROLE = /^[\w+=,.@-]{1,64}$/;

/**
 * Fetches the keys that Amazon gives this machine, or this task of its container service, for some hours ("Retrieve
 * security credentials from instance metadata", version 2 only; "Task IAM role"). In a container, the keys of the
 * machine are not requested: they do not belong to the task.
 *
 * The credential providers of the SDK are not used: they read the environment and files, and accept an answer of any
 * length.
 *
 * @throws ProbeFailure
 */
export function fetchAmazonKeys({ instance, container }: MetadataServices, signal: AbortSignal): Promise<S3Keys> {
  if (container === undefined) return withMetadata(instance, signal, keysOfInstance);
  return withMetadata(container, signal, async (send) => keysIn(await send('GET', container.path, {})));
}

async function keysOfInstance(send: SendMetadataRequest): Promise<S3Keys> {
  const lifetime = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_LIFETIME_S) };
  const token = textIn(await send('PUT', '/latest/api/token', lifetime), HEADER_TEXT);
  const headers = { 'x-aws-ec2-metadata-token': token };
  // The answer has one role per line, and a machine has only one role.
  const roles = await send('GET', ROLES, headers);
  if (roles.status === 404) throw missingIdentity();
  const role = textIn({ ...roles, body: firstLine(roles.body) }, ROLE);
  return keysIn(await send('GET', ROLES + role, headers));
}

function textIn(answer: Answer, form: RegExp): string {
  if (answer.status !== 200) throw refusalOf(answer);
  const text = answer.body.toString('latin1');
  if (!form.test(text)) throw unknownForm();
  return text;
}

function firstLine(body: Buffer): Buffer {
  return Buffer.from(body.toString('latin1').split('\n', 1)[0]?.trim() ?? '', 'latin1');
}

function keysIn(answer: Answer): S3Keys {
  if (answer.status === 404) throw missingIdentity();
  if (answer.status !== 200) throw refusalOf(answer);
  const { AccessKeyId: accessKey, SecretAccessKey: secretKey, Token: sessionToken } = parseObject(answer.body) ?? {};
  if (!isHeaderText(accessKey) || !isHeaderText(secretKey) || !isHeaderText(sessionToken)) throw unknownForm();
  return { accessKey, secretKey, sessionToken };
}

function isHeaderText(value: unknown): value is string {
  return typeof value === 'string' && HEADER_TEXT.test(value);
}

function unknownForm(): ProbeFailure {
  return new ProbeFailure('unexpected_answer');
}
