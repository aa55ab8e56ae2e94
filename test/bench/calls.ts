/**
 * The calls that the load generator makes. All names have one length, and so have all values: calls of one kind are
 * equally long, and so are their replies, apart from the digits of numbers.
 */
export type Plan =
  | { readonly kind: 'get'; readonly credentials: number; readonly order: 'in turn' | 'random' }
  | { readonly kind: 'create'; readonly first: number; readonly perCall: number }
  | { readonly kind: 'replace'; readonly credentials: number }
  | { readonly kind: 'get-set'; readonly sets: number }
  | { readonly kind: 'list' };

const NUMBER_LENGTH = 7;
const VALUE_LENGTH = 40;

/** Returns the name of a secret key in a set of its own, as on a host with many backups. */
export function nameOf(index: number): string {
  return `cio_aws_b${String(index).padStart(NUMBER_LENGTH, '0')}_secret_key`;
}

/** Returns a value as long as AWS's secret keys. */
export function valueOf(index: number): string {
  return `bench/${String(index)}/`.padEnd(VALUE_LENGTH, 'wJalrXUtnFEMI+K7MDENG');
}

/** Returns the credentials that a plan for `Create` stores. */
export function credentialsOf(first: number, count: number): { readonly name: string; readonly value: string }[] {
  return Array.from({ length: count }, (_, place) => ({ name: nameOf(first + place), value: valueOf(first + place) }));
}

/** The four fields of a complete set for restic. */
const SET_FIELDS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'] as const;

/** Returns the name of a complete set, unlike those of {@link nameOf}. */
export function setOf(index: number): string {
  return `aws_s${String(index).padStart(NUMBER_LENGTH, '0')}`;
}

/** Returns the credentials of the first complete sets, for `Create`. */
export function credentialsOfSets(count: number): { readonly name: string; readonly value: string }[] {
  return Array.from({ length: count }, (_, index) =>
    SET_FIELDS.map((field) => ({ name: `cio_${setOf(index)}_${field}`, value: valueOfField(field, index) })),
  ).flat();
}

function valueOfField(field: (typeof SET_FIELDS)[number], index: number): string {
  if (field === 'backup_repo') return `s3:https://s3.amazonaws.com/bench-${index % 10}`;
  return field === 'access_key' ? `AKIA${String(index).padStart(16, 'Q')}` : valueOf(index);
}

/**
 * Encodes the call at a place of a plan, with its NUL.
 *
 * @param below chooses the names of a plan that is `random`
 */
export function encodeCall(plan: Plan, place: number, below: (limit: number) => number = anyBelow): Buffer {
  switch (plan.kind) {
    case 'get': {
      const index = plan.order === 'random' ? below(plan.credentials) : place % plan.credentials;
      return encode('Get', { name: nameOf(index) });
    }
    case 'create':
      return encode('Create', { credentials: credentialsOf(plan.first + place * plan.perCall, plan.perCall) });
    case 'replace':
      return encode('Create', { credentials: credentialsOf(place % plan.credentials, 1), replace: true });
    case 'get-set':
      return encode('GetSet', { set: setOf(place % plan.sets) });
    case 'list':
      return encode('List', {}, { more: true });
  }
}

function anyBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}

function encode(method: string, parameters: object, flags: { readonly more?: true } = {}): Buffer {
  return Buffer.from(`${JSON.stringify({ method: `io.cio.Credentials.${method}`, parameters, ...flags })}\0`);
}
