import fc from 'fast-check';
import type {
  EnumType,
  ErrorDefinition,
  Interface,
  MethodDefinition,
  StructType,
  Type,
  TypeDefinition,
} from '../../../src/protocol/idl.ts';
import { anyText } from '../any-text.ts';

const LINE_ENDS = /[\n\r\u2028\u2029]/g;

const memberName = fc.stringMatching(/^[A-Z][A-Za-z0-9]{0,6}$/);
const fieldName = fc.oneof(
  fc.stringMatching(/^[A-Za-z](_?[A-Za-z0-9]){0,6}$/),
  fc.constantFrom('type', 'interface', 'string', 'constructor', 'toString', 'hasOwnProperty'),
);
const interfaceName = fc.stringMatching(/^[a-z](-{0,2}[a-z0-9]){0,3}(\.[a-z0-9](-{0,2}[a-z0-9]){0,3}){1,3}$/);
const doc = fc
  .array(
    anyText.map((line) => line.replaceAll(LINE_ENDS, '').trimEnd()),
    { maxLength: 3 },
  )
  .map((lines) => lines.join('\n'));

const enumType: fc.Arbitrary<EnumType> = fc
  .uniqueArray(fieldName, { minLength: 1, maxLength: 4 })
  .map((values) => ({ kind: 'enum', values }));

const { structType } = fc.letrec<{ structType: StructType; type: Type; plainType: Type }>((tie) => ({
  structType: fc
    .uniqueArray(fc.record({ name: fieldName, doc, type: tie('type') }), { selector: ({ name }) => name, maxLength: 4 })
    .map((fields) => ({ kind: 'struct', fields })),
  type: fc.oneof(
    { weight: 2, arbitrary: tie('plainType') },
    { weight: 1, arbitrary: tie('plainType').map((of): Type => ({ kind: 'nullable', of })) },
  ),
  plainType: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('bool', 'int', 'float', 'string', 'object', 'any').map((name): Type => ({ kind: 'simple', name })),
    // A placeholder for one of the types defined before it; see bindNames.
    fc.nat().map((index): Type => ({ kind: 'named', name: String(index) })),
    enumType,
    tie('type').map((of): Type => ({ kind: 'array', of })),
    tie('type').map((of): Type => ({ kind: 'map', of })),
    tie('structType'),
  ),
}));

const members = fc.record({
  types: fc.array(fc.record({ doc, type: fc.oneof(enumType, structType) }), { maxLength: 4 }),
  methods: fc.array(fc.record({ doc, input: structType, output: structType }), { minLength: 1, maxLength: 3 }),
  errors: fc.array(fc.record({ doc, fields: structType }), { maxLength: 3 }),
  names: fc.uniqueArray(memberName, { minLength: 10, maxLength: 10 }),
});

/** Any valid interface without recursive types. */
export const anyInterface: fc.Arbitrary<Interface> = fc
  .record({ name: interfaceName, doc, members })
  .map(({ name, doc, members: { types, methods, errors, names } }) => {
    const nameOf = names[Symbol.iterator]();
    const next = (): string => nameOf.next().value ?? '';
    const defined = new Map<string, TypeDefinition>();
    for (const { doc, type } of types) defined.set(next(), { doc, type: bindNames(type, [...defined.keys()]) });
    const known = [...defined.keys()];
    return {
      name,
      doc,
      types: defined,
      methods: new Map<string, MethodDefinition>(
        methods.map(({ doc, input, output }) => [
          next(),
          { doc, input: bindNames(input, known), output: bindNames(output, known) },
        ]),
      ),
      errors: new Map<string, ErrorDefinition>(
        errors.map(({ doc, fields }) => [next(), { doc, fields: bindNames(fields, known) }]),
      ),
    };
  });

function bindNames<T extends Type>(type: T, known: readonly string[]): T;
function bindNames(type: Type, known: readonly string[]): Type {
  switch (type.kind) {
    case 'named': {
      const name = known[Number(type.name) % known.length];
      return name === undefined ? { kind: 'simple', name: 'bool' } : { kind: 'named', name };
    }
    case 'array':
    case 'map':
    case 'nullable':
      return { kind: type.kind, of: bindNames(type.of, known) };
    case 'struct': {
      const fields = type.fields.map((field) => ({ ...field, type: bindNames(field.type, known) }));
      return { kind: 'struct', fields };
    }
    case 'simple':
    case 'enum':
      break;
  }
  return type;
}

/** Any value of a type, as `JSON.parse` would return it. */
export function anyValue(type: Type, types: Interface['types']): fc.Arbitrary<unknown> {
  return rawValue(type, types).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
}

function rawValue(type: Type, types: Interface['types']): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'simple':
      return SIMPLE_VALUES[type.name];
    case 'named':
      return rawValue(typeNamed(type.name, types), types);
    case 'enum':
      return fc.constantFrom(...type.values);
    case 'nullable':
      return fc.option(rawValue(type.of, types));
    case 'array':
      return fc.array(rawValue(type.of, types), { maxLength: 3 });
    case 'map':
      return fc.dictionary(key, rawValue(type.of, types), { maxKeys: 3 });
    case 'struct':
      break;
  }
  const fields = type.fields.map((field) => [field.name, rawValue(field.type, types)] as const);
  const requiredKeys = type.fields.filter((field) => field.type.kind !== 'nullable').map((field) => field.name);
  return fc.record(Object.fromEntries(fields), { requiredKeys });
}

const key = fc.string().filter((text) => text !== '__proto__');

const SIMPLE_VALUES = {
  bool: fc.boolean(),
  int: fc.maxSafeInteger(),
  float: fc.double({ noNaN: true, noDefaultInfinity: true }),
  string: anyText,
  object: fc.dictionary(key, fc.jsonValue(), { maxKeys: 3 }),
  any: fc.jsonValue().filter((value) => value !== null),
} as const;

/** Returns the type that a name stands for. */
export function typeNamed(name: string, types: Interface['types']): Type {
  const definition = types.get(name);
  if (definition === undefined) throw new TypeError(`no type ${name}`);
  return definition.type;
}

/** Prints an interface; the inverse of `parseInterface`. */
export function printInterface(parsed: Interface, lineEnd = '\n'): string {
  const text = [printDoc(parsed.doc), `interface ${parsed.name}\n`];
  for (const [name, { doc, type }] of parsed.types) text.push(`\n${printDoc(doc)}type ${name} ${printType(type)}\n`);
  for (const [name, { doc, input, output }] of parsed.methods) {
    text.push(`\n${printDoc(doc)}method ${name}${printType(input)} -> ${printType(output)}\n`);
  }
  for (const [name, { doc, fields }] of parsed.errors) {
    text.push(`\n${printDoc(doc)}error ${name} ${printType(fields)}\n`);
  }
  return text.join('').replaceAll('\n', lineEnd);
}

const PREFIXES = { array: '[]', map: '[string]', nullable: '?' } as const;

function printType(type: Type): string {
  switch (type.kind) {
    case 'simple':
    case 'named':
      return type.name;
    case 'enum':
      return `(${type.values.join(', ')})`;
    case 'array':
    case 'map':
    case 'nullable':
      return PREFIXES[type.kind] + printType(type.of);
    case 'struct':
      break;
  }
  const fields = type.fields.map(({ name, doc, type }) => `\n${printDoc(doc)}${name}: ${printType(type)}`);
  return `(${fields.join(',')})`;
}

function printDoc(doc: string): string {
  return doc === ''
    ? ''
    : doc
        .split('\n')
        .map((line) => `# ${line}\n`)
        .join('');
}
