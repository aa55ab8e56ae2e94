/** A type of the Varlink interface definition language. */
export type Type =
  | SimpleType
  | { readonly kind: 'array' | 'map' | 'nullable'; readonly of: Type }
  | { readonly kind: 'named'; readonly name: string }
  | EnumType
  | StructType;

/** A type without parts. `object` is any JSON object, `any` is any JSON value except null. */
export interface SimpleType {
  readonly kind: 'simple';
  readonly name: 'bool' | 'int' | 'float' | 'string' | 'object' | 'any';
}

/** An enumeration; its values are strings in a message. */
export interface EnumType {
  readonly kind: 'enum';
  readonly values: readonly string[];
}

/** An object with known fields. `()` has none. */
export interface StructType {
  readonly kind: 'struct';
  readonly fields: readonly StructField[];
}

export interface StructField extends Documented {
  readonly name: string;
  readonly type: Type;
}

/** Part of an interface that can have a comment on the lines directly before it. */
export interface Documented {
  /** The comment without its `#`; empty if there is none. */
  readonly doc: string;
}

export interface TypeDefinition extends Documented {
  readonly type: EnumType | StructType;
}

export interface MethodDefinition extends Documented {
  readonly input: StructType;
  readonly output: StructType;
}

export interface ErrorDefinition extends Documented {
  readonly fields: StructType;
}

/** A parsed interface. Members are in the order of the text; every named type that is used is in `types`. */
export interface Interface extends Documented {
  readonly name: string;
  readonly types: ReadonlyMap<string, TypeDefinition>;
  readonly methods: ReadonlyMap<string, MethodDefinition>;
  readonly errors: ReadonlyMap<string, ErrorDefinition>;
}

/** A text is not a valid interface definition. Line and column count from 1, the column in UTF-16 code units. */
export class IdlSyntaxError extends SyntaxError {
  readonly line: number;
  readonly column: number;

  constructor(problem: string, line: number, column: number) {
    super(`line ${line}, column ${column}: ${problem}`);
    this.name = 'IdlSyntaxError';
    this.line = line;
    this.column = column;
  }
}

/** Deepest nesting of types that is accepted, as in systemd's `sd-varlink-idl.c`. It limits the parser's recursion. */
const NESTING_MAX = 64;

const WHITESPACE = /[ \t\u00a0\ufeff\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]+/y;
const LINE_END = /\r\n|[\n\r\u2028\u2029]/y;
const COMMENT = /#[^\n\r\u2028\u2029]*/y;
const INTERFACE_NAME = /[A-Za-z](?:-*[A-Za-z0-9])*(?:\.[A-Za-z0-9](?:-*[A-Za-z0-9])*)+(?![^\s#])/y;
const MEMBER_NAME = /[A-Z][A-Za-z0-9]*(?![A-Za-z0-9_])/y;
const FIELD_NAME = /[A-Za-z](?:_?[A-Za-z0-9])*(?![A-Za-z0-9_])/y;
const INTERFACE = /interface(?![A-Za-z0-9_])/y;
const MEMBER = /(?:type|method|error)(?![A-Za-z0-9_])/y;
const SIMPLE_TYPE = /(?:bool|int|float|string|object|any)(?![A-Za-z0-9_])/y;

/**
 * Parses an interface definition (https://varlink.org/Interface-Definition), including systemd's extension `any`.
 *
 * @throws IdlSyntaxError for a syntax error, a name that is defined twice, or a type that is not defined
 */
export function parseInterface(text: string): Interface {
  return new Parser(text).interface();
}

class Parser {
  readonly #text: string;
  #offset = 0;
  #nesting = 0;
  readonly #types = new Map<string, TypeDefinition>();
  readonly #methods = new Map<string, MethodDefinition>();
  readonly #errors = new Map<string, ErrorDefinition>();
  /** The offset at which each named type is first used. */
  readonly #uses = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  interface(): Interface {
    const { doc } = this.#skip();
    if (this.#match(INTERFACE) === undefined) this.#fail('the keyword interface is expected');
    this.#skip();
    const name =
      this.#match(INTERFACE_NAME) ?? this.#fail('the name of an interface is expected, as in org.example.ftl');
    let trivia = this.#skip();
    if (this.#offset === this.#text.length) this.#fail('an interface has at least one member');
    while (this.#offset < this.#text.length) {
      if (!trivia.hasLineEnd) this.#fail('a member starts on a line of its own');
      this.#member(trivia.doc);
      trivia = this.#skip();
    }
    for (const [used, offset] of this.#uses) {
      if (!this.#types.has(used)) this.#fail(`there is no type ${used}`, offset);
    }
    return { name, doc, types: this.#types, methods: this.#methods, errors: this.#errors };
  }

  #member(doc: string): void {
    const keyword = this.#match(MEMBER) ?? this.#fail('one of type, method or error is expected');
    this.#skip();
    const offset = this.#offset;
    const name =
      this.#match(MEMBER_NAME) ?? this.#fail('a name is expected: a capital letter, then letters and digits');
    if (this.#types.has(name) || this.#methods.has(name) || this.#errors.has(name)) {
      this.#fail(`there are two members ${name}`, offset);
    }
    this.#skip();
    if (keyword === 'type') {
      this.#types.set(name, { doc, type: this.#parentheses() });
    } else if (keyword === 'error') {
      this.#errors.set(name, { doc, fields: this.#struct() });
    } else {
      const input = this.#struct();
      this.#skip();
      this.#expect('->');
      this.#skip();
      this.#methods.set(name, { doc, input, output: this.#struct() });
    }
  }

  #type(): Type {
    if (this.#nesting === NESTING_MAX) this.#fail(`types nest more than ${NESTING_MAX} deep`);
    this.#nesting += 1;
    const type = this.#typeAtThisDepth();
    this.#nesting -= 1;
    return type;
  }

  #typeAtThisDepth(): Type {
    if (this.#accept('?')) {
      if (this.#text.startsWith('?', this.#offset)) this.#fail('a type is nullable once at most');
      return { kind: 'nullable', of: this.#type() };
    }
    if (this.#accept('[]')) return { kind: 'array', of: this.#type() };
    if (this.#accept('[string]')) return { kind: 'map', of: this.#type() };
    if (this.#text.startsWith('(', this.#offset)) return this.#parentheses();
    const simple = this.#match(SIMPLE_TYPE);
    if (simple !== undefined) return { kind: 'simple', name: simple as SimpleType['name'] };
    const offset = this.#offset;
    const name = this.#match(MEMBER_NAME) ?? this.#fail('a type is expected');
    if (!this.#uses.has(name)) this.#uses.set(name, offset);
    return { kind: 'named', name };
  }

  #struct(): StructType {
    const offset = this.#offset;
    const type = this.#parentheses();
    return type.kind === 'struct' ? type : this.#fail('fields have types, as in (name: string)', offset);
  }

  /** Parses a struct, `(a: T, b: T)` or `()`, or an enum, `(a, b)`. A colon after the first name makes it a struct. */
  #parentheses(): EnumType | StructType {
    this.#expect('(');
    let { doc } = this.#skip();
    if (this.#accept(')')) return { kind: 'struct', fields: [] };
    const names = new Set<string>();
    const fields: StructField[] = [];
    let isStruct = false;
    do {
      if (names.size > 0) ({ doc } = this.#skip());
      const offset = this.#offset;
      const name =
        this.#match(FIELD_NAME) ?? this.#fail('a name is expected: letters, digits and single _ between them');
      if (names.has(name)) this.#fail(`${name} occurs twice`, offset);
      names.add(name);
      this.#skip();
      if (names.size === 1) isStruct = this.#text.startsWith(':', this.#offset);
      if (isStruct) {
        this.#expect(':');
        this.#skip();
        fields.push({ name, doc, type: this.#type() });
        this.#skip();
      }
    } while (this.#accept(','));
    this.#expect(')');
    return isStruct ? { kind: 'struct', fields } : { kind: 'enum', values: [...names] };
  }

  /** Skips white space, line ends and comments. `doc` is the comment on the lines directly before the next token. */
  #skip(): { readonly hasLineEnd: boolean; readonly doc: string } {
    let hasLineEnd = this.#offset === 0;
    let doc: string[] = [];
    let isBlankLine = false;
    while (this.#offset < this.#text.length) {
      if (this.#match(LINE_END) !== undefined) {
        // A comment at the end of a line with other text does not document what follows.
        if (isBlankLine || !hasLineEnd) doc = [];
        hasLineEnd = true;
        isBlankLine = true;
        continue;
      }
      const comment = this.#match(COMMENT);
      if (comment !== undefined) {
        doc.push(comment.replace(/^# ?/, '').trimEnd());
        isBlankLine = false;
      } else if (this.#match(WHITESPACE) === undefined) {
        break;
      }
    }
    return { hasLineEnd, doc: doc.join('\n') };
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text)?.[0];
    this.#offset += found?.length ?? 0;
    return found;
  }

  #accept(symbol: string): boolean {
    const isNext = this.#text.startsWith(symbol, this.#offset);
    if (isNext) this.#offset += symbol.length;
    return isNext;
  }

  #expect(symbol: string): void {
    if (!this.#accept(symbol)) this.#fail(`${symbol} is expected`);
  }

  #fail(problem: string, offset: number = this.#offset): never {
    const lines = this.#text.slice(0, offset).split(/\r\n|[\n\r\u2028\u2029]/);
    throw new IdlSyntaxError(problem, lines.length, (lines.at(-1)?.length ?? 0) + 1);
  }
}
