/**
 * The calls that the load generator makes. All names have one length, and so have all values: every call is as long as
 * every other of its kind, and so is every reply but for the digits of its numbers.
 */
export type Plan =
  | { readonly kind: 'get'; readonly credentials: number; readonly order: 'in turn' | 'random' }
  | { readonly kind: 'create'; readonly first: number; readonly perCall: number }
  | { readonly kind: 'replace'; readonly credentials: number };

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

/** The bytes of the call in that place of a plan, with its NUL. */
export function encodeCall(plan: Plan, place: number): Buffer {
  switch (plan.kind) {
    case 'get': {
      const index = plan.order === 'random' ? Math.floor(Math.random() * plan.credentials) : place % plan.credentials;
      return encode('Get', { name: nameOf(index) });
    }
    case 'create':
      return encode('Create', { credentials: credentialsOf(plan.first + place * plan.perCall, plan.perCall) });
    case 'replace':
      return encode('Create', { credentials: credentialsOf(place % plan.credentials, 1), replace: true });
  }
}

function encode(method: string, parameters: object): Buffer {
  return Buffer.from(`${JSON.stringify({ method: `io.cio.Credentials.${method}`, parameters })}\0`);
}
