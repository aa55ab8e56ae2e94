import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAzureRepository } from '../../../src/providers/azure.ts';
import { parseColonRepository } from '../../../src/providers/colon-repository.ts';
import { parseGoogleRepository } from '../../../src/providers/google.ts';
import { anyText } from '../any-text.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

describe('parseAzureRepository() and parseGoogleRepository()', () => {
  const good: readonly (readonly [text: string, bucket: string, prefix: string])[] = [
    ['azure:backup:/', 'backup', ''],
    ['azure:backup:', 'backup', ''],
    ['azure:backup:/host-1', 'backup', 'host-1'],
    ['azure:backup:host-1/daily/', 'backup', 'host-1/daily'],
    ['azure:backup-2:/a//b', 'backup-2', 'a/b'],
    ['azure:backup:/a:b', 'backup', 'a:b'],
    ['azure:backup:/100%', 'backup', '100%'],
    ['gs:backup:/', 'backup', ''],
    ['gs:backup_1.example.org:/host', 'backup_1.example.org', 'host'],
  ];
  for (const [text, bucket, prefix] of good) {
    it(`reads ${text}`, () => {
      const parse = text.startsWith('azure:') ? parseAzureRepository : parseGoogleRepository;
      assert.deepEqual(parse(text), { bucket, prefix });
    });
  }

  const refused: Readonly<Record<string, readonly string[]>> = {
    'it does not start with azure:': ['', 'azure', 'Azure:backup:/', 'gs:backup:/', ' azure:backup:/', '/srv/backup'],
    'it has spaces or control characters': [
      'azure:backup:/ ',
      'azure:backup:/a\n',
      'azure:back\0up:/',
      'azure:b\u200b:/',
    ],
    'it has no second colon': ['azure:', 'azure:backup', 'azure:backup/host'],
    'it has no valid name between its colons': [
      'azure::/',
      'azure:ab:/',
      'azure:Backup:/',
      'azure:-backup:/',
      'azure:back--up:/',
      'azure:back_up:/',
      'azure:backup/x:/',
      `azure:${'b'.repeat(64)}:/`,
      'azure://backup:/',
    ],
    'it has . or .. in its path': ['azure:backup:/..', 'azure:backup:/a/./b', 'azure:backup:../x'],
  };
  for (const [reason, texts] of Object.entries(refused)) {
    for (const text of texts) {
      it(`refuses ${JSON.stringify(text)}`, () => assert.deepEqual(parseAzureRepository(text), { reason }));
    }
  }

  for (const text of [
    'gs:ab:/',
    'gs:Backup:/',
    'gs:-b-:/',
    'gs:a..b:/',
    `gs:${'b'.repeat(64)}:/`,
    'gs://backup/x',
    'azure:backup:/',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.ok('reason' in parseGoogleRepository(text)));
  }
});

describe('parseColonRepository()', () => {
  it('reads back a repository composed of its parts', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9_%:-][A-Za-z0-9._:%-]*$/);
    fc.assert(
      fc.property(fc.constantFrom('azure', 'gs'), fc.array(part), fc.constantFrom('', '/'), (scheme, parts, slash) => {
        const text = `${scheme}:bucket:${slash}${parts.join('/')}`;
        const repository = parseColonRepository(text, scheme, (name) => name === 'bucket');
        assert.deepEqual(repository, { bucket: 'bucket', prefix: parts.join('/') });
      }),
    );
  });

  it('reads or refuses any text, and never repeats it in the reason', () => {
    const almost = fc.oneof(
      anyText,
      fc.array(fc.constantFrom(':', '/', 'bucket', '.', '..', ' ')).map((parts) => `gs:${parts.join('')}`),
    );
    fc.assert(
      fc.property(almost, (text) => {
        const repository = parseGoogleRepository(text);
        if ('reason' in repository) assert.match(repository.reason, /^it (?:has|does) [a-z .:]+$/);
        else assert.ok(!repository.prefix.startsWith('/') && !repository.prefix.endsWith('/'));
      }),
    );
  });

  it('takes time in proportion to the length of the text', () => {
    withinCpuTime(5000, () => {
      for (const unit of ['a', 'a-', 'a.', '/', ':', '-']) {
        parseAzureRepository(`azure:${unit.repeat(500_000)}`);
        parseGoogleRepository(`gs:${unit.repeat(500_000)}:/${unit.repeat(500_000)}`);
      }
    });
  });
});
