import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endpointValue } from '../../../../client/cio/create/endpoint.ts';
import { FIELD_OPTIONS, type FieldOptions } from '../../../../client/cio/create/options.ts';

/** Returns the options of a command line that gives only these. */
function optionsOf(given: Partial<FieldOptions>): FieldOptions {
  const none = Object.entries(FIELD_OPTIONS).map(([name, { type }]) => [name, type === 'boolean' ? false : undefined]);
  return { ...(Object.fromEntries(none) as FieldOptions), ...given };
}

describe('endpointValue()', () => {
  it('adds the scheme that --s3-disable-ssl asks for to each server', () => {
    const servers = { 's3-endpoint': 'a:9000, b.example' };
    assert.equal(endpointValue(optionsOf(servers), undefined), 'https://a:9000,https://b.example');
    assert.equal(
      endpointValue(optionsOf({ ...servers, 's3-disable-ssl': true }), undefined),
      'http://a:9000,http://b.example',
    );
  });

  it('keeps a scheme that is written out', () => {
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'http://a,b' }), undefined), 'http://a,https://b');
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'https://a' }), 'http://old'), 'https://a');
  });

  it('does not reset the scheme of a set by naming other servers', () => {
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'new:1' }), 'http://old:1,http://old:2'), 'http://new:1');
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'new:1' }), 'https://old:1'), 'https://new:1');
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'new:1' }), 'old:1'), 'https://new:1');
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'new:1' }), 'http://a, http://b'), 'http://new:1');
    assert.equal(endpointValue(optionsOf({ 's3-endpoint': 'new:1' }), 'http://a,https://b'), 'https://new:1');
  });

  it('changes the scheme of the servers that the set has', () => {
    const options = optionsOf({ 's3-disable-ssl': true });
    assert.equal(endpointValue(options, 'https://a:1,b'), 'http://a:1,http://b');
    assert.throws(() => endpointValue(options, undefined), { code: 'Usage', message: /needs --s3-endpoint/ });
  });

  it('refuses a written scheme that contradicts --s3-disable-ssl', () => {
    const options = optionsOf({ 's3-endpoint': 'https://a', 's3-disable-ssl': true });
    assert.throws(() => endpointValue(options, undefined), { code: 'Usage', message: /exclude each other/ });
  });
});
