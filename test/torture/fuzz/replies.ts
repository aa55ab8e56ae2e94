import fc from 'fast-check';
import { bytesOf, ERRORS, METHODS, validOf } from '../../daemon/socket/any-message.ts';
import type { Random } from '../random.ts';

/**
 * Texts that would change a terminal's title, clear its screen and hide what follows, with C0 and C1 control
 * characters.
 */
const TERMINAL_CANARIES: readonly string[] = ['\u001b]0;CANARY\u0007', '\u009b2J', '\u202eCANARY', '\r\u001b[2K'];

const SAMPLE = 40;
const SEEDS = 2 ** 31;

/** Returns a reply to a method as a hostile or broken server may send it. */
export type ReplySource = (method: string) => Buffer;

/** @returns a source that generates more replies when they are used up */
export function replySource(random: Random): ReplySource {
  const made = new Map<string, Buffer[]>();
  const arbitraries = new Map(METHODS.map(({ parsed, name }) => [`${parsed.name}.${name}`, anyReply(name)]));
  return (method) => {
    const arbitrary = arbitraries.get(method);
    if (arbitrary === undefined) throw new TypeError(`the interface has no ${method}`);
    let ready = made.get(method) ?? [];
    if (ready.length === 0) ready = fc.sample(arbitrary, { numRuns: SAMPLE, seed: random.below(SEEDS) });
    const reply = ready.pop();
    made.set(method, ready);
    return reply ?? Buffer.of(0);
  };
}

/** Generates a reply to a method, with or without `continues`, or an error; sometimes with bytes changed. */
function anyReply(method: string): fc.Arbitrary<Buffer> {
  const [found] = METHODS.filter(({ name }) => name === method);
  if (found === undefined) throw new TypeError(`the interface has no ${method}`);
  const parameters = validOf(found.output, found.parsed);
  const anyError = fc
    .constantFrom(...ERRORS)
    .chain(({ parsed, name, fields }) =>
      fc.record({ error: fc.constant(`${parsed.name}.${name}`), parameters: validOf(fields, parsed) }),
    );
  const reply = fc.record({ parameters, continues: fc.boolean() }, { requiredKeys: ['parameters'] });
  const last = fc.record({ parameters });
  return bytesOf(
    fc
      .oneof({ weight: 4, arbitrary: last }, { weight: 2, arbitrary: reply }, { weight: 2, arbitrary: anyError })
      .chain((message) =>
        fc.nat(TERMINAL_CANARIES.length * 2).map((kind) => spoil(message, TERMINAL_CANARIES[kind], 'parameters')),
      ),
  );
}

/** Appends the canary, if any, to every text of a message except the name of its error. */
function spoil(message: unknown, canary: string | undefined, key = ''): unknown {
  if (canary === undefined) return message;
  if (typeof message === 'string') return key === 'error' ? message : `${message.slice(0, 40)}${canary}`;
  if (Array.isArray(message)) return message.map((item) => spoil(item, canary));
  if (typeof message !== 'object' || message === null) return message;
  return Object.fromEntries(Object.entries(message).map(([name, inner]) => [name, spoil(inner, canary, name)]));
}
