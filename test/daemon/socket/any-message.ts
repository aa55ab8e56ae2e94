import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseInterface } from '../../../src/protocol/idl.ts';
import type { Interface, Type } from '../../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../../../src/protocol/interface.generated.ts';
import { INTERFACE_DESCRIPTION as SERVICE_DESCRIPTION } from '../../../src/protocol/service.generated.ts';
import { anyText } from '../../src/any-text.ts';

/**
 * Part of texts that are sent and are not valid names, so that an echo of them is noticed. No text of the daemon
 * contains it, nor any name that it may repeat: names of credentials have no capital letters, and names of methods and
 * units no line separator.
 */
export const ECHO_CANARY = 'ECHO\u2028CANARY';

const INTERFACES = [INTERFACE_DESCRIPTION, SERVICE_DESCRIPTION].map(parseInterface);

/** Every method of the daemon. */
export const METHODS = INTERFACES.flatMap((parsed) =>
  [...parsed.methods].map(([name, { input, output }]) => ({ parsed, name, input, output })),
);

/** Every error that the daemon may reply with. */
export const ERRORS = INTERFACES.flatMap((parsed) =>
  [...parsed.errors].map(([name, { fields }]) => ({ parsed, name, fields })),
);

/** Names of every kind that the methods know, so that many calls refer to something that exists. */
const anyName = fc.constantFrom(
  'token',
  'cio_aws_access_key',
  'cio_aws_secret_key',
  'cio_alt_aws_restic_repo',
  'cio_x_provider',
  'aws',
  'x',
  '',
  'UPPER',
  '*',
  'io.cio.Credentials',
  '0191e1f0-7c3a-5000-8000-00000000000a',
  'a'.repeat(129),
  '\0',
  '__proto__',
);
const anyString = fc.oneof(
  { weight: 4, arbitrary: anyName },
  anyText.map((text) => `${text}${ECHO_CANARY}`),
  anyText,
  fc.constantFrom('restic.service', 'restic@.service', 's3', 'AAAA', 'AA==', 'x'.repeat(5000), `token${ECHO_CANARY}`),
);
const anyNumber = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 3001, 3002, -1, 2 ** 32 - 1, Number.MAX_SAFE_INTEGER),
  fc.integer(),
);
const anyJunk = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(null, [], {}, 1.5, -0, '\ud800', { __proto__: null, constructor: 1 }, [[[[]]]], true, ECHO_CANARY),
  fc.constant({ [ECHO_CANARY]: [ECHO_CANARY] }),
);

/** A value of a type, or now and then arbitrary JSON. */
function valueOf(type: Type, parsed: Interface): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 30, arbitrary: validOf(type, parsed) }, { weight: 1, arbitrary: anyJunk });
}

/** A value of a type, some parts of which may be arbitrary JSON. */
export function validOf(type: Type, parsed: Interface): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'simple':
      return { string: anyString, int: anyNumber, bool: fc.boolean(), float: anyNumber, object: anyJunk, any: anyJunk }[
        type.name
      ];
    case 'named':
      return valueOf(parsed.types.get(type.name)?.type ?? assert.fail(), parsed);
    case 'enum':
      return fc.constantFrom(...type.values);
    case 'nullable':
      return fc.option(valueOf(type.of, parsed), { nil: undefined });
    case 'array':
      return fc.array(valueOf(type.of, parsed), { maxLength: 4 });
    case 'map':
      return fc.dictionary(anyString, valueOf(type.of, parsed), { maxKeys: 3 });
    case 'struct': {
      const fields = type.fields.map((field) => [field.name, valueOf(field.type, parsed)] as const);
      return fc.record(Object.fromEntries(fields), { noNullPrototype: true });
    }
  }
}

/** A call of any method, without a passphrase, which takes a second to try. */
const anyCall = fc.constantFrom(...METHODS).chain(({ parsed, name, input }) =>
  fc.record(
    {
      method: fc.constant(`${parsed.name}.${name}`),
      parameters: validOf(input, parsed).map((given) => ({ ...(given as object), passphrase: undefined })),
      more: fc.boolean(),
      oneway: fc.constantFrom(false, false, false, true),
    },
    { noNullPrototype: true, requiredKeys: ['method', 'parameters'] },
  ),
);

const anyMutations = fc.oneof(
  { weight: 12, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.uint8Array({ maxLength: 3 })), { maxLength: 3 }) },
);

/** The bytes of a message, now and then with some of them changed, removed or inserted. */
export function bytesOf(anyObject: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> {
  return fc.record({ message: anyObject, mutations: anyMutations }).map(({ message, mutations }) => {
    let bytes = Buffer.from(JSON.stringify(message) ?? 'undefined');
    for (const [place, removed, added] of mutations) {
      const at = place % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
    }
    return Buffer.concat([bytes, Buffer.of(0)]);
  });
}

/** A call as bytes, or something close to one. */
export const anyMessage: fc.Arbitrary<Buffer> = bytesOf(
  fc
    .record({
      call: fc.oneof({ weight: 20, arbitrary: anyCall }, { weight: 1, arbitrary: anyJunk }),
      extra: fc.option(
        fc.oneof(
          fc.dictionary(fc.constantFrom('method', 'upgrade', 'x', '__proto__', ECHO_CANARY), anyJunk, { maxKeys: 1 }),
          fc.constantFrom({ method: `io.cio.Credentials.${ECHO_CANARY}` }, { method: `${ECHO_CANARY}.Get` }),
        ),
        { freq: 20 },
      ),
    })
    .map(({ call, extra }) => (typeof call === 'object' && call !== null ? Object.assign({}, call, extra) : call)),
);

/**
 * Parses the bytes as the daemon does: returns the calls that get a reply, up to the first message that is not valid.
 */
export function callsIn(bytes: Buffer): { readonly methods: string[]; readonly isEnded: boolean } {
  const methods: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    const text = bytes.subarray(start, end);
    start = end + 1;
    let message: unknown;
    try {
      message = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text));
    } catch {
      return { methods, isEnded: true };
    }
    if (message === null) return { methods, isEnded: true };
    const { method, parameters, ...flags } = message as Record<string, unknown>;
    const { more, oneway, upgrade } = flags;
    const isCall =
      typeof method === 'string' &&
      !Array.isArray(message) &&
      (parameters === undefined || (typeof parameters === 'object' && !Array.isArray(parameters))) &&
      [more, oneway, upgrade].every((flag) => flag === undefined || typeof flag === 'boolean') &&
      upgrade !== true;
    if (!(isCall && oneway === true)) methods.push(isCall ? method : '');
  }
  return { methods, isEnded: false };
}
