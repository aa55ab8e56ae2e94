import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { skipUnless, command } from '../../support/requirements.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { refusal, startHttp, toThisHost, type StubServer } from './stub-server.ts';
import { failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';

const LIST = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>b</Name></ListBucketResult>';
const LOCATION = '<LocationConstraint>eu-central-1</LocationConstraint>';

/** How the prober reaches Amazon's hosts, all played by one server. */
describe('probe() of a set at Amazon', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let server: StubServer;
  let hosts: string[] = [];

  before(async () => {
    authority = await makeAuthority(scope);
    const names = ['s3', '*.s3', 's3.eu-central-1', '*.s3.eu-central-1'].map((name) => `DNS:${name}.amazonaws.com`);
    server = await startHttp(
      scope,
      (request, response) => {
        const host = request.headers.host ?? '';
        hosts.push(host.replace(/:\d+$/, ''));
        if (!host.includes('eu-central-1')) {
          response.setHeader('x-amz-bucket-region', 'eu-central-1');
          refusal('PermanentRedirect', 301, '<Endpoint>elsewhere.test</Endpoint>')(request, response);
        } else if (request.headers.authorization?.includes('/eu-central-1/s3/') !== true) {
          refusal('AuthorizationHeaderMalformed', 400, '<Region>eu-central-1</Region>')(request, response);
        } else if (request.url?.includes('list-type') === true) response.end(LIST);
        else if (request.url?.includes('location') === true) response.end(LOCATION);
        else refusal('NoSuchKey', 404)(request, response);
      },
      await authority.sign(names.join(',')),
    );
  });

  const find = (values: Record<string, string> = {}, host = 's3.amazonaws.com', bucket = 'bucket-1') => {
    hosts = [];
    const backup_repo = `s3:https://${host}:${server.port}/${bucket}`;
    const job = jobOf(
      { backup_repo, endpoint_ca: authority.certificate, ...values },
      { provider: 'aws', restoreOnly: true },
    );
    return findingsOf(job, { lookup: toThisHost });
  };

  it("asks the host of the set's region, with the bucket in its name", async () => {
    const findings = await find({ region: 'eu-central-1' });
    assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
    assert.deepEqual(new Set(hosts), new Set(['bucket-1.s3.eu-central-1.amazonaws.com']));
  });

  it('goes to the host of the region that the server names if the set has none, and to no other', async () => {
    const findings = await find();
    assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
    const expected = {
      check: 'region',
      state: 'warning',
      reason: 'wrong_region',
      field: 'region',
      subject: 'eu-central-1',
    };
    assert.deepEqual(findingFor(findings, 'region'), expected);
    assert.equal(hosts[0], 'bucket-1.s3.amazonaws.com');
    assert.deepEqual(new Set(hosts.slice(1)), new Set(['bucket-1.s3.eu-central-1.amazonaws.com']));
  });

  it('names the right region if the set has another one', async () => {
    const findings = await find({ region: 'eu-central-1' }, 's3.eu-central-1.amazonaws.com');
    assert.equal(failureIn(findings), undefined);
    const wrong = await find({ region: 'us-west-2' }, 's3.eu-central-1.amazonaws.com');
    const expected = {
      check: 'region',
      state: 'failed',
      reason: 'wrong_region',
      field: 'region',
      subject: 'eu-central-1',
    };
    assert.deepEqual(failureIn(wrong), expected);
  });

  it('puts the bucket into the path if no certificate fits its name, or if the set says so', async () => {
    await find({ region: 'eu-central-1' }, undefined, 'a.b.c');
    assert.deepEqual(new Set(hosts), new Set(['s3.eu-central-1.amazonaws.com']));
    await find({ region: 'eu-central-1', path_style: 'true' });
    assert.deepEqual(new Set(hosts), new Set(['s3.eu-central-1.amazonaws.com']));
  });

  it('reports why the host of the region cannot be reached', async () => {
    hosts = [];
    const job = jobOf(
      { backup_repo: `s3:https://s3.amazonaws.com:${server.port}/bucket-1`, endpoint_ca: authority.certificate },
      { provider: 'aws' },
    );
    const findings = await findingsOf(job, {
      lookup: async (host) => [{ address: host.includes('eu-central-1') ? '169.254.169.254' : '127.0.0.1', family: 4 }],
    });
    const expected = {
      check: 'region',
      state: 'failed',
      reason: 'address_refused',
      field: 'backup_repo',
      subject: '169.254.169.254',
    };
    assert.deepEqual(failureIn(findings), expected);
    assert.equal(findings.filter(({ check }) => check === 'resolve').length, 1);
  });
});
