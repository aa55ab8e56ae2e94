import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { IdlSyntaxError, parseInterface } from '../../../src/protocol/idl.ts';
import { anyText } from '../any-text.ts';
import { anyInterface, printInterface } from './arbitraries.ts';

const CREDENTIALS = readFileSync(new URL('../../../src/protocol/io.cio.Credentials.varlink', import.meta.url), 'utf8');

/** Parses the type of a struct's only field `a`. */
function parseType(text: string): unknown {
  const parsed = parseInterface(`interface a.b\ntype N ()\ntype T (a: ${text})\n`);
  const struct = parsed.types.get('T')?.type;
  return struct?.kind === 'struct' ? struct.fields[0]?.type : undefined;
}

function refusal(text: string): IdlSyntaxError {
  try {
    parseInterface(text);
  } catch (error) {
    if (error instanceof IdlSyntaxError) return error;
    throw error;
  }
  return assert.fail(`this is refused: ${text}`);
}

describe('parseInterface()', () => {
  it("reads the daemon's interface", () => {
    const parsed = parseInterface(CREDENTIALS);
    assert.equal(parsed.name, 'io.cio.Credentials');
    assert.match(parsed.doc, /^Credentials of backups: .*more is a string\.$/s);
    assert.equal(parsed.methods.size, CREDENTIALS.match(/^method /gm)?.length);
    assert.equal(parsed.types.size, CREDENTIALS.match(/^type /gm)?.length);
    assert.equal(parsed.errors.size, CREDENTIALS.match(/^error /gm)?.length);
    assert.deepEqual(parsed.methods.get('Get')?.input, {
      kind: 'struct',
      fields: [
        { name: 'name', doc: '', type: { kind: 'simple', name: 'string' } },
        { name: 'version', doc: '', type: { kind: 'nullable', of: { kind: 'simple', name: 'int' } } },
        { name: 'owner', doc: '', type: { kind: 'nullable', of: { kind: 'simple', name: 'int' } } },
      ],
    });
  });

  it('reads back any printed interface, with any line ends', () => {
    fc.assert(
      fc.property(anyInterface, fc.constantFrom('\n', '\r\n', '\r', '\u2028', '\u2029'), (parsed, lineEnd) => {
        assert.deepEqual(parseInterface(printInterface(parsed, lineEnd)), parsed);
      }),
    );
  });

  it('reads every simple type', () => {
    for (const name of ['bool', 'int', 'float', 'string', 'object', 'any']) {
      assert.deepEqual(parseType(name), { kind: 'simple', name });
    }
  });

  it('reads arrays, maps and nullable types of each other', () => {
    const string = { kind: 'simple', name: 'string' };
    assert.deepEqual(parseType('[]string'), { kind: 'array', of: string });
    assert.deepEqual(parseType('[string]string'), { kind: 'map', of: string });
    assert.deepEqual(parseType('[string]()'), { kind: 'map', of: { kind: 'struct', fields: [] } });
    assert.deepEqual(parseType('?[]?[string]string'), {
      kind: 'nullable',
      of: { kind: 'array', of: { kind: 'nullable', of: { kind: 'map', of: string } } },
    });
  });

  it('distinguishes structs from enums by what follows the first name', () => {
    assert.deepEqual(parseType('(one,two , three)'), { kind: 'enum', values: ['one', 'two', 'three'] });
    assert.deepEqual(parseType('( one : N )'), {
      kind: 'struct',
      fields: [{ name: 'one', doc: '', type: { kind: 'named', name: 'N' } }],
    });
    assert.deepEqual(parseType('()'), { kind: 'struct', fields: [] });
  });

  it('accepts keywords and type names as field names', () => {
    const values = ['type', 'method', 'error', 'interface', 'string', 'boolean', 'N'];
    assert.deepEqual(parseType(`(${values.join(', ')})`), { kind: 'enum', values });
  });

  it('allows a type to be used before its definition', () => {
    assert.equal(parseInterface('interface a.b\nmethod M(a: T) -> ()\ntype T ()').types.size, 1);
  });

  it('keeps the order of members and fields', () => {
    const { errors } = parseInterface('interface a.b\nerror C ()\nerror A ()\nerror B (c: int, a: int)');
    assert.deepEqual([...errors.keys()], ['C', 'A', 'B']);
    assert.deepEqual(
      errors.get('B')?.fields.fields.map((field) => field.name),
      ['c', 'a'],
    );
  });

  it('keeps the comment right before a member or a field, without its number signs', () => {
    const parsed = parseInterface(
      [
        '# The\n#interface.',
        'interface a.b',
        '',
        '# One.',
        '#',
        '#   Two.  ',
        'type T (',
        '  # Field.',
        '  a: int',
        ')',
      ].join('\n'),
    );
    const type = parsed.types.get('T');
    assert.equal(parsed.doc, 'The\ninterface.');
    assert.equal(type?.doc, 'One.\n\n  Two.');
    assert.equal(type?.type.kind === 'struct' && type.type.fields[0]?.doc, 'Field.');
  });

  it('drops a comment that is separated by a blank line or shares its line', () => {
    const parsed = parseInterface(
      'interface a.b # behind\ntype T (a: int) # behind\ntype U (a: int, # behind\nb: int)\n\n# apart\n\ntype V ()',
    );
    assert.deepEqual(
      [...parsed.types.values()].map(({ doc }) => doc),
      ['', '', ''],
    );
    const struct = parsed.types.get('U')?.type;
    assert.equal(struct?.kind === 'struct' && struct.fields[1]?.doc, '');
  });

  for (const name of [
    'a.b',
    'org.varlink.service',
    'io.cio.Credentials',
    'xn--p1ai.a',
    'a--b.c--d',
    'a.0',
    'Org.0x.a9',
  ]) {
    it(`accepts ${name} as the name of an interface`, () => {
      assert.equal(parseInterface(`interface ${name}\nerror E ()`).name, name);
    });
  }

  for (const name of [
    'a',
    '',
    '.a.b',
    'a.b.',
    'a..b',
    '-a.b',
    'a-.b',
    'a.-b',
    'a.b-',
    '0a.b',
    'a.b_c',
    'a.b/c',
    'ä.b',
    'a.*',
  ]) {
    it(`refuses '${name}' as the name of an interface`, () => {
      const { line, column } = refusal(`interface ${name}\nerror E ()`);
      assert.deepEqual([line, column], name === '' ? [2, 1] : [1, 11]);
    });
  }

  for (const name of ['a', 'get', '_A', 'A_b', 'A-b', '0A', 'Ä', '']) {
    it(`refuses '${name}' as the name of a member`, () => {
      for (const keyword of ['type', 'error', 'method']) {
        assert.equal(refusal(`interface a.b\n${keyword} ${name} () -> ()`).line, 2);
      }
    });
  }

  for (const name of ['_a', 'a_', 'a__b', '0a', 'a-b', 'ä', '', '__proto__']) {
    it(`refuses '${name}' as the name of a field and of a value`, () => {
      assert.equal(refusal(`interface a.b\ntype T (${name}: int)`).line, 2);
      assert.equal(refusal(`interface a.b\ntype T (${name}, b)`).line, 2);
    });
  }

  const refused: readonly (readonly [what: string, text: string, line: number, column: number])[] = [
    ['an empty text', '', 1, 1],
    ['a text without the keyword', 'a.b', 1, 1],
    ['a keyword that goes on', 'interfaces a.b\nerror E ()', 1, 1],
    ['an interface without members', 'interface a.b\n# nothing\n', 3, 1],
    ['a member on the line of the interface', 'interface a.b error E ()', 1, 15],
    ['two members on one line', 'interface a.b\nerror E () error F ()', 2, 12],
    ['two interfaces', 'interface a.b\ninterface c.d', 2, 1],
    ['an unknown keyword', 'interface a.b\nsignal S ()', 2, 1],
    ['two types of one name', 'interface a.b\ntype T ()\ntype T ()', 3, 6],
    ['two errors of one name', 'interface a.b\nerror E ()\nerror E ()', 3, 7],
    ['a method and an error of one name', 'interface a.b\nmethod M() -> ()\nerror M ()', 3, 7],
    ['a field that is there twice', 'interface a.b\ntype T (a: int, b: int, a: int)', 2, 25],
    ['a value that is there twice', 'interface a.b\ntype T (a, b, a)', 2, 15],
    ['a type that is not there', 'interface a.b\ntype T (a: []Nothing)', 2, 14],
    ['a type that is not there twice', 'interface a.b\ntype T (a: U)\ntype V (a: U)', 2, 12],
    ['a type that is an error', 'interface a.b\nerror E ()\ntype T (a: E)', 3, 12],
    ['a simple type with a capital', 'interface a.b\ntype T (a: String)', 2, 12],
    ['a type twice nullable', 'interface a.b\ntype T (a: ??int)', 2, 13],
    ['a type of nothing', 'interface a.b\ntype T (a: )', 2, 12],
    ['a nullable type of nothing', 'interface a.b\ntype T (a: ?)', 2, 13],
    ['an array with a size', 'interface a.b\ntype T (a: [1]int)', 2, 12],
    ['a map by something else', 'interface a.b\ntype T (a: [int]int)', 2, 12],
    ['white space in brackets', 'interface a.b\ntype T (a: [ ]int)', 2, 12],
    ['a comma at the end', 'interface a.b\ntype T (a: int,)', 2, 16],
    ['a comma too few', 'interface a.b\ntype T (a: int b: int)', 2, 16],
    ['a struct that goes on as an enum', 'interface a.b\ntype T (a: int, b)', 2, 18],
    ['an enum that goes on as a struct', 'interface a.b\ntype T (a, b: int)', 2, 13],
    ['a type that is an alias', 'interface a.b\ntype T int', 2, 8],
    ['an error that is an enum', 'interface a.b\nerror E (a, b)', 2, 9],
    ['a method that takes an enum', 'interface a.b\nmethod M(a, b) -> ()', 2, 9],
    ['a method that gives nothing', 'interface a.b\nmethod M()', 2, 11],
    ['a method that gives a name', 'interface a.b\ntype T ()\nmethod M() -> T', 3, 15],
    ['an open parenthesis', 'interface a.b\r\nerror E (\r\n', 3, 1],
    ['text behind the last member', 'interface a.b\nerror E ()\n;', 3, 1],
  ];
  for (const [what, text, line, column] of refused) {
    it(`refuses ${what}, and says where`, () => {
      const error = refusal(text);
      assert.deepEqual([error.line, error.column], [line, column]);
      assert.ok(error instanceof SyntaxError);
      assert.ok(error.message.startsWith(`line ${line}, column ${column}: `));
    });
  }

  it('limits the nesting of types', () => {
    assert.doesNotThrow(() => parseType(`${'[]'.repeat(63)}int`));
    assert.match(refusal(`interface a.b\ntype T (a: ${'[]'.repeat(64)}int)`).message, /64 deep/);
    assert.match(refusal(`interface a.b\ntype T ${'(a: '.repeat(100_000)}`).message, /64 deep/);
  });

  it('reads a long comment and much white space', () => {
    const filler = '# comment\n \t\n'.repeat(100_000);
    assert.equal(parseInterface(`${filler}interface a.b\n${filler}error E ()${filler}`).name, 'a.b');
  });

  it('reads or refuses any text, and any mutation of a valid one', () => {
    const mutated = fc
      .tuple(
        anyInterface.map((parsed) => printInterface(parsed)),
        fc.nat(),
        fc.nat(5),
        fc.constantFrom('', '(', ')', '?', ':', '\n', 'a', 'A', '#'),
      )
      .map(([text, at, length, insert]) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + insert + text.slice(start + length);
      });
    fc.assert(
      fc.property(fc.oneof(mutated, anyText), (text) => {
        try {
          parseInterface(text);
        } catch (error) {
          assert.ok(error instanceof IdlSyntaxError);
          const line = text.split(/\r\n|[\n\r\u2028\u2029]/)[error.line - 1];
          assert.ok(line !== undefined && error.column >= 1 && error.column <= line.length + 1);
        }
      }),
    );
  });
});
