import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import fc from 'fast-check';

import { SUBJECT_LENGTH_MAX } from '../../../src/limits.ts';
import { CHECKS, CHECK_STATES, REASONS, type Finding } from '../../../src/validation.ts';
import { startTcp, type StubServer } from './stub-server.ts';
import { findingsOf, jobOf, suiteScope } from './harness.ts';

const LIST =
  '<?xml version="1.0"?><ListBucketResult><Name>b</Name><Contents><Key>config</Key></Contents></ListBucketResult>';
const ERROR = '<?xml version="1.0"?><Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></Error>';

/** Answers to start from: a server sends one of them with some bytes changed. */
const ANSWERS = [
  [200, LIST],
  [200, '<LocationConstraint>eu</LocationConstraint>'],
  [400, ERROR],
  [301, ERROR],
  [403, ERROR.replace('AuthorizationHeaderMalformed', 'AccessDenied')],
  [404, ERROR.replace('AuthorizationHeaderMalformed', 'NoSuchKey')],
  [204, ''],
] as const;

const answerBytes = ([status, body]: readonly [number, string]): Buffer =>
  Buffer.from(
    `HTTP/1.1 ${status} X\r\netag: "x"\r\nx-amz-bucket-region: eu-1\r\nx-amz-version-id: v1\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );

const mutated = fc
  .tuple(
    fc.constantFrom(...ANSWERS),
    fc.array(fc.tuple(fc.nat(400), fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 13, 34, 38, 60, 62))), {
      maxLength: 4,
    }),
  )
  .map(([answer, changes]) => {
    const bytes = answerBytes(answer);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

const said = fc.oneof(
  { weight: 4, arbitrary: mutated },
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

describe('probe() against a server that sends anything', () => {
  const scope = suiteScope(after);
  let server: StubServer;
  let script: readonly Buffer[] = [];
  let turn = 0;

  before(async () => {
    server = await startTcp(scope, (socket) => {
      socket.once('data', () => socket.end(script[(turn += 1) % script.length] ?? ''));
    });
  });

  for (const provider of ['s3', 'minio'] as const) {
    it(`yields findings from the closed lists for every check, and ends, with the library for ${provider}`, async () => {
      const property = fc.asyncProperty(fc.array(said, { minLength: 1, maxLength: 4 }), async (answers) => {
        script = answers;
        turn = 0;
        const job = jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider });
        const findings = await findingsOf(job);
        assert.deepEqual(
          CHECKS.slice(1).filter((check) => !findings.some((finding) => finding.check === check)),
          [],
        );
        findings.forEach(assertClosed);
      });
      await fc.assert(property, { numRuns: 150 });
    });
  }
});

function assertClosed({ check, state, reason, field = '', subject = '' }: Finding): void {
  assert.ok(CHECKS.includes(check) && CHECK_STATES.includes(state));
  assert.ok(reason === undefined || Object.hasOwn(REASONS, reason), reason);
  assert.match(field, /^[a-z_]*$/);
  assert.match(subject, /^[\x20-\x7e]*$/);
  assert.ok(subject.length <= SUBJECT_LENGTH_MAX);
}
