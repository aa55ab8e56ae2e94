import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ALLOW_LINK_LOCAL,
  BACKUP_PASSWORD,
  CONNECTION_FIELDS,
  ENDPOINT_CA,
  PROVIDER,
  PROVIDER_IDS,
  PROXY,
  SKIP_VERIFY,
  USE_IAM,
} from '../../../src/providers/common-fields.ts';
import type { Field } from '../../../src/providers/provider.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

const BODY = `${'MIIBszCCAVmgAwIBAgIU'.repeat(3)}\n${'A1b+/'.repeat(9)}==\n`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----\n${BODY}-----END CERTIFICATE-----\n`;

function check(field: Field, text: string): string | undefined {
  return field.check?.(text);
}

describe('BACKUP_PASSWORD', () => {
  it('accepts any text that an environment variable can hold', () => {
    for (const text of [' pw ', 'line one\nline two\n', 'p\u00e4ss', '\u{1f511}', 'a'.repeat(1024)]) {
      assert.equal(check(BACKUP_PASSWORD, text), undefined);
    }
  });

  it('refuses a NUL', () => {
    assert.match(check(BACKUP_PASSWORD, 'pass\0word') ?? '', /^it has a NUL character/);
  });
});

describe('PROVIDER', () => {
  it('accepts the exact id of a provider', () => {
    for (const id of PROVIDER_IDS) assert.equal(check(PROVIDER, id), undefined);
    for (const text of ['', 'S3', 's3\n', ' s3', 'dropbox', 'constructor'])
      assert.notEqual(check(PROVIDER, text), undefined);
  });
});

describe('SKIP_VERIFY, ALLOW_LINK_LOCAL and USE_IAM', () => {
  for (const field of [SKIP_VERIFY, ALLOW_LINK_LOCAL, USE_IAM]) {
    it(`${field.id} accepts true and false only`, () => {
      for (const text of ['true', 'false']) assert.equal(check(field, text), undefined);
      for (const text of ['', 'yes', 'TRUE', '1', ' true']) {
        assert.equal(check(field, text), 'it is neither true nor false', text);
      }
    });
  }
});

describe('ENDPOINT_CA', () => {
  it('accepts certificates, with text between them', () => {
    for (const text of [CERTIFICATE, CERTIFICATE.trim(), `subject=CN\n${CERTIFICATE}\r\n${CERTIFICATE}`]) {
      assert.equal(check(ENDPOINT_CA, text), undefined);
    }
  });

  it('refuses other text', () => {
    for (const text of [
      '',
      '/etc/ssl/ca.pem',
      CERTIFICATE.replace('END', 'END OF'),
      `${CERTIFICATE}${CERTIFICATE.slice(0, 90)}`,
    ]) {
      assert.equal(check(ENDPOINT_CA, text), 'it is not a certificate in PEM', text);
    }
  });

  it('refuses a private key among the certificates, which lists would show', () => {
    for (const kind of ['', 'EC ', 'RSA ', 'ENCRYPTED ']) {
      const key = `-----BEGIN ${kind}PRIVATE KEY-----\n${BODY}-----END ${kind}PRIVATE KEY-----\n`;
      assert.equal(check(ENDPOINT_CA, CERTIFICATE + key), 'it has a private key in it');
    }
  });

  it('takes time in proportion to the length of the text', () => {
    withinCpuTime(5000, () => {
      for (const unit of ['A', '-', '-----BEGIN CERTIFICATE-----\n', '-----BEGIN ', ' ']) {
        check(ENDPOINT_CA, unit.repeat(1_000_000 / unit.length));
        check(ENDPOINT_CA, `-----BEGIN CERTIFICATE-----\n${unit.repeat(1_000_000 / unit.length)}`);
      }
    });
  });
});

describe('PROXY', () => {
  it('accepts the URL of a proxy', () => {
    for (const text of [
      'http://proxy:3128',
      'https://proxy.example.org',
      'http://[fd00::1]:3128/',
      PROXY.example ?? '',
    ]) {
      assert.equal(check(PROXY, text), undefined, text);
    }
  });

  it('refuses anything else, above all a password, which lists would show', () => {
    for (const text of [
      '',
      'proxy:3128',
      'http://user:word@proxy:3128',
      'socks5://proxy',
      'http://proxy/path',
      'http://',
    ]) {
      assert.match(check(PROXY, text) ?? '', /it should look like http:\/\/HOST:PORT$/, text);
    }
  });
});

describe('CONNECTION_FIELDS', () => {
  it('are optional fields of every provider, and no secrets', () => {
    for (const { fields } of PROVIDERS.values()) {
      for (const field of CONNECTION_FIELDS) {
        assert.ok(fields.includes(field));
        assert.equal(field.isRequired || field.isSecret, false);
      }
    }
  });
});
