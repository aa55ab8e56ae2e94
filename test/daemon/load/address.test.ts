import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseLoadAddress } from '../../../daemon/load/address.ts';

const parse = (text: string): unknown => parseLoadAddress(Buffer.from(text, 'latin1'));

describe('parseLoadAddress()', () => {
  for (const [address, unit, id] of [
    ['\0adf9d86b6eda275e/unit/foobar.service/credx', 'foobar.service', 'credx'],
    ['\x000/unit/restic@home.service/aws.env', 'restic@home.service', 'aws.env'],
    ['\0f/unit/a-b\\x2dc.mount/cio_aws_backup_password', 'a-b\\x2dc.mount', 'cio_aws_backup_password'],
    ['\0f/unit/x.service/UPPER:case,=~', 'x.service', 'UPPER:case,=~'],
  ] as const) {
    it(`parses ${JSON.stringify(address)}`, () => assert.deepEqual(parse(address), { unit, id }));
  }

  for (const address of [
    '',
    '\0',
    '/run/some/path',
    'adf9/unit/foobar.service/credx',
    '\0/unit/foobar.service/credx',
    '\0ADF9/unit/foobar.service/credx',
    '\0adf9d86b6eda275e0/unit/foobar.service/credx',
    '\0adf9/Unit/foobar.service/credx',
    '\0adf9/unit//credx',
    '\0adf9/unit/foobar.service/',
    '\0adf9/unit/foobar.service',
    '\0adf9/unit/foobar/credx',
    '\0adf9/unit/foobar.timer/credx',
    '\0adf9/unit/foobar.service/cred/x',
    '\0adf9/unit/foobar.service/../x',
    '\0adf9/unit/foobar.service/cred x',
    '\0adf9/unit/foobar.service/cred\n',
    '\0adf9/unit/foobar.service/cred\0',
    '\0adf9/unit/foobar.service/cr\u00e9d',
    '\0adf9/unit/foo bar.service/credx',
    '\0\0adf9/unit/foobar.service/credx',
    'x\0adf9/unit/foobar.service/credx',
  ]) {
    it(`refuses ${JSON.stringify(address)}`, () => assert.equal(parse(address), undefined));
  }

  it('accepts nothing ambiguous, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 108 }), (bytes) => {
        const request = parseLoadAddress(bytes);
        if (request === undefined) return;
        assert.doesNotMatch(`${request.unit}${request.id}`, /[/\0\n]/);
      }),
    );
  });
});
