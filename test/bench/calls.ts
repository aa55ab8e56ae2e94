/**
 * The calls that the load generator makes. All names have one length, and so have all values: every call is as long as
 * every other of its kind, and so is every reply but for the digits of its numbers.
 */
export type Plan =
  | { readonly kind: 'get'; readonly credentials: number; readonly order: 'in turn' | 'random' }
  | { readonly kind: 'create'; readonly first: number; readonly perCall: number }
  | { readonly kind: 'replace'; readonly credentials: number }
  | { readonly kind: 'get-set'; readonly sets: number }
  | { readonly kind: 'list' };

const NUMBER_LENGTH = 7;
const VALUE_LENGTH = 40;

/** The secret key of a set of its own, as a host with many backups has them. */
export function nameOf(index: number): string {
  return `cio_aws_b${String(index).padStart(NUMBER_LENGTH, '0')}_secret_key`;
}

/** As long as the secret keys of AWS. */
export function valueOf(index: number): string {
  return `bench/${String(index)}/`.padEnd(VALUE_LENGTH, 'wJalrXUtnFEMI+K7MDENG');
}

/** What is left behind by a plan for `Create`. */
export function credentialsOf(first: number, count: number): { readonly name: string; readonly value: string }[] {
  return Array.from({ length: count }, (_, place) => ({ name: nameOf(first + place), value: valueOf(first + place) }));
}

/** The four fields of a whole set, as `restic` needs them. */
const SET_FIELDS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'] as const;

/** A set that is ready, unlike the ones of {@link nameOf}. */
export function setOf(index: number): string {
  return `aws_s${String(index).padStart(NUMBER_LENGTH, '0')}`;
}

/** What makes the first sets ready, for `Create`. */
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
 * The bytes of the call in that place of a plan, with its NUL.
 *
 * @param below what chooses the names of a plan that is `random`
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
