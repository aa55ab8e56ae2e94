import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { startDaemon } from '../../support/daemon.ts';
import { root } from '../../support/requirements.ts';
import { residentBytes } from '../../support/resident-bytes.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { anyMessage, ECHO_CANARY } from './any-message.ts';
import { exchange } from './exchange.ts';

const MESSAGES = 2000;
/** Messages that are sent together on one connection. */
const BATCH = 20;
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;

describe('randomly changed messages made from the interface', () => {
  it("each get a reply of the interface other than InternalError, and the daemon's memory does not grow", async (t) => {
    const daemon = await startDaemon({ after });
    const people = root() === undefined ? [undefined, { uid: 3001, gid: 3001 }, { uid: 3002, gid: 3002 }] : [undefined];
    let before = 0;
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyMessage, { minLength: BATCH, maxLength: BATCH }),
        fc.constantFrom(...people),
        async (messages, person) => {
          await exchange(await RawVarlink.connect(t, daemon.socketPath, person), messages);
          sent += messages.length;
          if (sent === MESSAGES / 2) before = residentBytes(daemon.pid);
        },
      ),
      { numRuns: MESSAGES / BATCH, endOnFailure: true },
    );
    assert.equal(sent, MESSAGES);
    const growth = residentBytes(daemon.pid) - before;
    assert.ok(growth < GROWTH_BYTES_MAX, `it grew by ${growth} bytes`);
    assert.doesNotMatch(daemon.log, /error:|defect/);
    assert.ok(!daemon.log.includes(ECHO_CANARY), 'the log repeats what was sent');
    await daemon.stop();
  });
});
