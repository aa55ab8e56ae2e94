import type { Interface, SimpleType, StructField, StructType, Type } from './idl.ts';

/**
 * Checks one value as returned by `JSON.parse`, without changing it. Returns undefined if the value is valid, or else
 * the path of the first invalid part, as in `credentials[3].name`. A path consists only of names from the interface and
 * array indices, never of anything from the value. It is empty for the value itself.
 */
export type Check = (value: unknown) => string | undefined;

/** The checks of one method's parameters. Parameters that a message leaves out are checked as `{}`. */
export interface MethodCheck {
  /**
   * Checks the parameters of a call, and rejects unknown fields. The path is then that of the struct, so that the
   * unknown field is not named.
   *
   * A nullable field may be `null` or absent. Handlers receive it unchanged; the generated types say `?: T | null`.
   */
  readonly checkCall: Check;
  /** Checks the parameters of a reply. Unknown fields are allowed, so that a newer daemon can add some. */
  readonly checkReply: Check;
}

/** The checks of a whole interface, by the names of its members. */
export interface InterfaceCheck {
  readonly methods: ReadonlyMap<string, MethodCheck>;
  /** The checks of the parameters of errors, by the same rules as for replies. */
  readonly errors: ReadonlyMap<string, Check>;
}

/**
 * Compiles the checks of an interface.
 *
 * @throws TypeError if a type contains itself, since the recursion of its check would have no limit
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

/** A field with its compiled check. */
interface CompiledField {
  readonly name: string;
  readonly check: Check;
  readonly isNullable: boolean;
  /** Whether every object inherits a property of this name, such as `constructor`. */
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

/** The path of the checked value itself. */
const HERE = '';

function checkBool(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : HERE;
}

/** Accepts integers that a double represents exactly; any other would have changed in transit. */
function checkInt(value: unknown): string | undefined {
  return Number.isSafeInteger(value) ? undefined : HERE;
}

/** Accepts finite numbers. `JSON.parse` turns 1e999 into infinity, which JSON cannot express. */
function checkFloat(value: unknown): string | undefined {
  return Number.isFinite(value) ? undefined : HERE;
}

/** Accepts well-formed Unicode. JSON can contain lone surrogates, which the conversion to UTF-8 would replace. */
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

/** Checks a map. The path of an invalid element is that of the map, since the keys are part of the value. */
function checkMap(checkElement: Check): Check {
  return (value) => {
    if (!isPlainObject(value) || hasPrototypeKey(value)) return HERE;
    for (const key in value) if (checkElement(value[key]) !== undefined) return HERE;
    return undefined;
  };
}

/** Checks a struct in which unknown fields are allowed, except `__proto__`. */
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

/** Checks a struct in which unknown fields are not allowed. Counting keys and known fields avoids a look-up per key. */
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

/**
 * Tells whether an object has an own key `__proto__`, as `JSON.parse` can create it. Copying such an object by
 * assignment would set the prototype of the copy.
 */
function hasPrototypeKey(value: object): boolean {
  return Object.hasOwn(value, '__proto__');
}

function joinPath(outer: string, inner: string): string {
  return inner === HERE || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`;
}
