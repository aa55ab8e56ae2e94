import assert from 'node:assert/strict';
import type { RawVarlink } from '../../support/varlink.ts';
import { checkReply } from '../reply-check.ts';
import { callsIn, ECHO_CANARY } from './any-message.ts';

/** Methods whose replies repeat stored text: values and labels of slots. */
const TELLING: ReadonlySet<string> = new Set(
  ['Get', 'GetSet', 'List', 'ListSlots', 'AddSlot', 'Status'].map((name) => `io.cio.Credentials.${name}`),
);

const WATCH = 'io.cio.Credentials.Watch';

/**
 * Sends messages in one go, half-closes, and checks that each gets exactly its replies: as the interface says, without
 * a defect, and without an echo of what was sent. A settled `Watch` does not end, and calls after it get no reply, so
 * the connection is closed then.
 *
 * @returns the number of answered messages
 */
export async function exchange(client: RawVarlink, messages: readonly Buffer[]): Promise<number> {
  const bytes = Buffer.concat(messages);
  const { methods, isEnded } = callsIn(bytes);
  client.send(bytes);
  client.end();
  for (const [index, method] of methods.entries()) {
    for (;;) {
      const reply = await client.receive();
      assert.ok(reply !== undefined, `no answer to ${method}`);
      assert.notEqual(reply.error, 'io.cio.Credentials.InternalError');
      checkReply(method, reply);
      const mayTell = reply.error === undefined && TELLING.has(method);
      assert.ok(mayTell || !JSON.stringify(reply).includes(ECHO_CANARY), `${method} repeats what was sent`);
      if (reply.continues !== true) break;
      if (method === WATCH && reply.parameters?.['settled'] === true) {
        client.close();
        return index + 1;
      }
    }
  }
  const last = await client.receive();
  if (isEnded) assert.equal(last?.error, 'io.cio.Credentials.MalformedMessage');
  else assert.equal(last, undefined);
  if (isEnded) assert.deepEqual(Object.keys(last?.parameters ?? {}), ['reason']);
  client.close();
  return methods.length;
}
