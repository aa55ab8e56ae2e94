import type { Interface, SimpleType, StructField, StructType, Type } from './idl.ts';

/**
 * Checks one value. Undefined where it is valid; else the path of what is not, as in `credentials[3].name`. A path is
 * made of names of the interface and of indices of arrays, and of nothing that the value contains. It is empty for the
 * value itself.
 *
 * The value is one that `JSON.parse` returned. It is never changed.
 */
export type Check = (value: unknown) => string | undefined;

/** How the parameters of one method are checked; parameters that a message leaves out are checked as `{}`. */
export interface MethodCheck {
  /**
   * Refuses fields that the interface does not have. An unknown field is not named: the path is that of its struct.
   *
   * A nullable field may be `null` or absent, and handlers see it as it came: the generated types say `?: T | null`.
   */
  readonly checkCall: Check;
  /** Lets unknown fields pass, by which a later daemon can extend an answer. */
  readonly checkReply: Check;
}

/** The checks of a whole interface, by the names of its members. */
export interface InterfaceCheck {
  readonly methods: ReadonlyMap<string, MethodCheck>;
  /** For the parameters of errors, under the rules of a reply. */
  readonly errors: ReadonlyMap<string, Check>;
}

/**
 * Makes the checks of an interface, once at start.
 *
 * @throws TypeError if a type contains itself: its values could nest without bound, and so could the check's recursion
 */
export function compileInterface(parsed: Interface): InterfaceCheck {
  const call = new Compiler(parsed, true);
  const reply = new Compiler(parsed, false);
  return {
    methods: new Map(
      [...parsed.methods].map(([name, { input, output }]) => [
        name,
        { checkCall: call.compile(input), checkReply: reply.compile(output) },
      ]),
    ),
    errors: new Map([...parsed.errors].map(([name, { fields }]) => [name, reply.compile(fields)])),
  };
}

const SIMPLE_CHECKS: { readonly [Name in SimpleType['name']]: Check } = {
  bool: checkBool,
  int: checkInt,
  float: checkFloat,
  string: checkString,
  object: checkObject,
  any: checkAny,
};

/** A field, ready to be checked. */
interface CompiledField {
  readonly name: string;
  readonly check: Check;
  readonly isNullable: boolean;
  /** The field is named like something that every object inherits, as `constructor` is. */
  readonly isInherited: boolean;
}

class Compiler {
  readonly #interface: Interface;
  readonly #isStrict: boolean;
  readonly #named = new Map<string, Check>();
  readonly #begun = new Set<string>();

  constructor(parsed: Interface, isStrict: boolean) {
    this.#interface = parsed;
    this.#isStrict = isStrict;
  }

  compile(type: Type): Check {
    switch (type.kind) {
      case 'simple':
        return SIMPLE_CHECKS[type.name];
      case 'named':
        return this.#compileNamed(type.name);
      case 'enum':
        return checkEnum(type.values);
      case 'nullable':
        return checkNullable(this.compile(type.of));
      case 'array':
        return checkArray(this.compile(type.of));
      case 'map':
        return checkMap(this.compile(type.of));
      case 'struct':
        return this.#compileStruct(type);
    }
  }

  #compileStruct(type: StructType): Check {
    const fields = type.fields.map((field) => this.#compileField(field));
    return this.#isStrict ? checkStrictStruct(fields) : checkOpenStruct(fields);
  }

  #compileField({ name, type }: StructField): CompiledField {
    const isNullable = type.kind === 'nullable';
    return {
      name,
      isNullable,
      check: this.compile(isNullable ? type.of : type),
      isInherited: name in Object.prototype,
    };
  }

  #compileNamed(name: string): Check {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const definition = this.#interface.types.get(name);
    if (definition === undefined) throw new TypeError(`the interface has no type ${name}`);
    if (this.#begun.has(name)) throw new TypeError(`type ${name} contains itself`);
    this.#begun.add(name);
    const check = this.compile(definition.type);
    this.#named.set(name, check);
    return check;
  }
}

/** The path of the checked value itself: it is not what the interface says. */
const HERE = '';

function checkBool(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : HERE;
}

/** A number that is exact as a double; others would have changed on their way. */
function checkInt(value: unknown): string | undefined {
  return Number.isSafeInteger(value) ? undefined : HERE;
}

/** Finite: `JSON.parse` makes an infinity of 1e999, which no message can carry back. */
function checkFloat(value: unknown): string | undefined {
  return Number.isFinite(value) ? undefined : HERE;
}

/** Unicode text. A lone surrogate, which JSON can spell, would become another character on its way into UTF-8. */
function checkString(value: unknown): string | undefined {
  return typeof value === 'string' && value.isWellFormed() ? undefined : HERE;
}

function checkObject(value: unknown): string | undefined {
  return isPlainObject(value) && !hasPrototypeKey(value) ? undefined : HERE;
}

function checkAny(value: unknown): string | undefined {
  return value === undefined || value === null ? HERE : undefined;
}

function checkEnum(values: readonly string[]): Check {
  return (value) => (values.includes(value as string) ? undefined : HERE);
}

function checkNullable(check: Check): Check {
  return (value) => (value === null ? undefined : check(value));
}

function checkArray(checkElement: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return HERE;
    for (let index = 0; index < value.length; index += 1) {
      const path = checkElement(value[index]);
      if (path !== undefined) return joinPath(`[${index}]`, path);
    }
    return undefined;
  };
}

/** The keys of a map are input; so the path of a bad element is that of the map. */
function checkMap(checkElement: Check): Check {
  return (value) => {
    if (!isPlainObject(value) || hasPrototypeKey(value)) return HERE;
    for (const key in value) if (checkElement(value[key]) !== undefined) return HERE;
    return undefined;
  };
}

/** Does not look at unknown fields, other than `__proto__`. */
function checkOpenStruct(fields: readonly CompiledField[]): Check {
  return (value) => {
    if (!isPlainObject(value) || hasPrototypeKey(value)) return HERE;
    for (const field of fields) {
      const path = checkField(field, fieldOf(value, field));
      if (path !== undefined) return path;
    }
    return undefined;
  };
}

/** As many keys as fields that are there means that no key is unknown: no key needs to be looked up. */
function checkStrictStruct(fields: readonly CompiledField[]): Check {
  return (value) => {
    if (!isPlainObject(value)) return HERE;
    let unknownKeys = 0;
    for (const _key in value) unknownKeys += 1;
    for (const field of fields) {
      const found = fieldOf(value, field);
      if (found !== undefined) unknownKeys -= 1;
      const path = checkField(field, found);
      if (path !== undefined) return path;
    }
    return unknownKeys === 0 ? undefined : HERE;
  };
}

function checkField(field: CompiledField, value: unknown): string | undefined {
  if (field.isNullable && (value === undefined || value === null)) return undefined;
  const path = field.check(value);
  return path === undefined ? undefined : joinPath(field.name, path);
}

function fieldOf(value: Readonly<Record<string, unknown>>, field: CompiledField): unknown {
  return field.isInherited && !Object.hasOwn(value, field.name) ? undefined : value[field.name];
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own key `__proto__`, which `JSON.parse` makes, becomes a prototype where somebody copies the object by assignment. */
function hasPrototypeKey(value: object): boolean {
  return Object.hasOwn(value, '__proto__');
}

function joinPath(outer: string, inner: string): string {
  return inner === HERE || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`;
}
