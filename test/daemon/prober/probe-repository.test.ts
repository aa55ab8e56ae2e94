import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { isDeriving } from '../../../daemon/prober/restic/scrypt.ts';
import { CHECKS } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type StubServer } from './stub-server.ts';
import { checksIn, failureIn, findingFor, findingsOf, jobOf } from './harness.ts';
import { LOCATION, PROVIDERS } from './s3-stub.ts';
import { ProberChild } from './prober-child.ts';
import { countDerivations } from './restic/derivations.ts';
import made from './restic/made-by-restic.json' with { type: 'json' };
import { makeKeyFile, randomKey, seal, type NamedFile } from './restic/reference.ts';

const PASSWORD = 'a password';

/** The most work that a key may ask for: seconds on any machine. */
const COSTLY = { N: 2 ** 17, r: 8, p: 8 } as const;

interface Repository {
  readonly config: Uint8Array | undefined;
  readonly keys: readonly NamedFile[];
  /** The directory of the keys. */
  readonly folder?: string;
}

/**
 * Starts a bucket with a repository, on a server that can act before it answers.
 * @param page returns what replaces the names in a list
 */
async function startRepository(
  scope: Scope,
  { config, keys, folder = 'keys' }: Repository,
  act: (method: string, url: string) => 'refuse' | undefined = () => undefined,
  page: (parameters: URLSearchParams) => string | undefined = () => undefined,
): Promise<StubServer & { readonly mostAtOnce: () => number }> {
  const files = new Map(keys.map(({ name, bytes }) => [`/bucket-1/${folder}/${name}`, bytes]));
  if (config !== undefined) files.set('/bucket-1/config', config);
  const names = keys.map(({ name }) => `<Contents><Key>${folder}/${name}</Key></Contents>`).join('');
  let asked = 0;
  let most = 0;
  const server = await startHttp(scope, (request, response, body) => {
    const { method = '', url = '' } = request;
    const name = url.split('?', 1)[0] ?? '';
    most = Math.max(most, (asked += 1));
    response.once('finish', () => (asked -= 1));
    if (act(method, url) === 'refuse') refusal('AccessDenied')(request, response);
    else if (url.includes('location')) response.end(LOCATION);
    else if (url.includes('list-type')) {
      const { searchParams } = new URL(url, 'http://server');
      const exists = `${folder}/`.startsWith(searchParams.get('prefix') ?? '');
      const listed = page(searchParams) ?? (exists ? names : '');
      response.end(`<ListBucketResult><Name>bucket-1</Name>${listed}</ListBucketResult>`);
    } else if (method === 'PUT') {
      files.set(name, body);
      response.writeHead(200, { etag: '"x"' }).end();
    } else if (method === 'DELETE') response.writeHead(204).end();
    else if (files.has(name)) response.end(files.get(name));
    else refusal('NoSuchKey', 404)(request, response);
  });
  return Object.assign(server, { mostAtOnce: () => most });
}

/** Makes a repository with one key for each password. */
function repositoryOf(passwords: readonly string[], parameters: object = {}): Repository {
  const master = randomKey();
  const text = { version: 2, id: 'ab'.repeat(32), chunker_polynomial: '3da3358b4dc173' };
  const keys = passwords.map((password) => makeKeyFile({ password, master, members: { ...parameters } }));
  return { config: seal(master, Buffer.from(JSON.stringify(text))), keys };
}

const [restic] = made;
/** With a key as costly as restic makes them. */
const RESTIC: Repository = {
  config: Buffer.from(restic?.config ?? '', 'base64'),
  keys: [{ name: restic?.key.name ?? '', bytes: Buffer.from(restic?.key.bytes ?? '', 'base64') }],
};

const valuesFor = ({ authority }: StubServer, password = PASSWORD): Record<string, string> => ({
  backup_repo: `s3:http://${authority}/bucket-1`,
  backup_password: password,
});

/** Returns the requests for the probe object and the keys, abbreviated. */
function stepsIn({ seen }: StubServer): string[] {
  return seen.flatMap((request) => {
    const [, method = '', key] = /^(\w+) \/bucket-1\/(?:\.cio-|keys\/(\w{64}))/.exec(request) ?? [];
    return method === '' ? [] : [key ?? method];
  });
}

describe('probe(): the repository password', () => {
  it('derives the key during write, read_back and delete, and yields all findings in order', async (t) => {
    for (const provider of PROVIDERS) {
      const during: boolean[] = [];
      const server = await startRepository(t, RESTIC, (method) => {
        if (method === 'PUT') during.push(isDeriving());
        return undefined;
      });
      let findings: Awaited<ReturnType<typeof findingsOf>> = [];
      const derivations = await countDerivations(async () => {
        findings = await findingsOf(jobOf(valuesFor(server, restic?.password), { provider }));
      });
      assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
      assert.deepEqual(
        findings.map(({ check }) => check),
        CHECKS.slice(1),
      );
      assert.deepEqual(during, [true]);
      assert.equal(derivations, 1);
      assert.deepEqual(stepsIn(server), [RESTIC.keys[0]?.name, 'PUT', 'GET', 'DELETE']);
      assert.equal(server.mostAtOnce(), 1);
    }
  });

  it('finds a key on a later page of the list, and asks for no more than five pages', async (t) => {
    const repository = repositoryOf([PASSWORD]);
    for (const provider of PROVIDERS) {
      for (const [pages, expected] of [
        [4, 'passed'],
        [6, 'failed'],
      ] as const) {
        const tokens: (string | null)[] = [];
        const server = await startRepository(t, repository, undefined, (parameters) => {
          if (parameters.get('prefix') !== 'keys/') return '';
          tokens.push(parameters.get('continuation-token'));
          if (tokens.length === pages) return undefined;
          return `<IsTruncated>true</IsTruncated><NextContinuationToken>keys/&amp;${tokens.length}</NextContinuationToken>`;
        });
        const findings = await findingsOf(jobOf(valuesFor(server), { provider }));
        assert.equal(findingFor(findings, 'password').state, expected, JSON.stringify(findings));
        assert.deepEqual(tokens, [null, 'keys/&1', 'keys/&2', 'keys/&3', 'keys/&4'].slice(0, pages));
      }
    }
  });

  it('ignores the object that stands for the directory of the keys', async (t) => {
    const others = Array.from({ length: 19 }, (_, index) => `of number ${index}`);
    const twenty = repositoryOf([...others, PASSWORD]);
    const wrong = repositoryOf([...others, 'of another']);
    const more = repositoryOf([...others, 'of another', PASSWORD]);
    for (const provider of PROVIDERS) {
      for (const [repository, check, expected] of [
        [twenty, 'password', undefined],
        [wrong, 'password', 'wrong_password'],
        [more, 'password', 'too_many_keys'],
        [{ config: undefined, keys: [] }, 'repository', 'no_repository'],
        [{ ...repositoryOf([PASSWORD]), config: undefined }, 'repository', 'not_a_repository'],
      ] as const) {
        const names = ['', ...repository.keys.map(({ name }) => name)];
        const server = await startRepository(t, repository, undefined, (parameters) =>
          parameters.get('prefix') === 'keys/'
            ? names
                .slice(0, Number(parameters.get('max-keys')))
                .map((name) => `<Contents><Key>keys/${name}</Key></Contents>`)
                .join('')
            : undefined,
        );
        const findings = await findingsOf(jobOf(valuesFor(server), { provider, restoreOnly: true }));
        const { reason, field } = findingFor(findings, check);
        const isOfPassword = expected === 'wrong_password' || expected === 'too_many_keys';
        assert.deepEqual([reason, field], [expected, isOfPassword ? 'backup_password' : undefined], provider);
      }
    }
  });

  it('asks for the next key only when it is needed, one request at a time', async (t) => {
    for (const provider of PROVIDERS) {
      const repository = repositoryOf(['of another', 'of a third', PASSWORD]);
      const server = await startRepository(t, repository);
      const findings = await findingsOf(jobOf(valuesFor(server), { provider }));
      assert.equal(findingFor(findings, 'password').state, 'passed', JSON.stringify(findings));
      const [first, second, third] = repository.keys.map(({ name }) => name);
      assert.deepEqual(stepsIn(server), [first, 'PUT', 'GET', 'DELETE', second, third]);
      assert.equal(server.mostAtOnce(), 1);
    }
  });

  it('looks for keys in the former directory of restic, and warns about it; errors are reported as usual', async (t) => {
    for (const provider of PROVIDERS) {
      const repository = { ...repositoryOf([PASSWORD]), folder: 'key' };
      const server = await startRepository(t, repository);
      const { state, reason } = findingFor(await findingsOf(jobOf(valuesFor(server), { provider })), 'password');
      assert.deepEqual([state, reason], ['warning', 'former_layout']);
      const wrong = await findingsOf(jobOf(valuesFor(server, 'another'), { provider }));
      assert.equal(failureIn(wrong)?.reason, 'wrong_password');
    }
    const [key] = repositoryOf([PASSWORD]).keys;
    const damaged = { name: key?.name ?? '', bytes: Buffer.from('{}') };
    const server = await startRepository(t, { ...RESTIC, keys: [damaged], folder: 'key' });
    const failure = failureIn(await findingsOf(jobOf(valuesFor(server))));
    assert.deepEqual([failure?.reason, failure?.subject], ['not_a_repository', `key/${damaged.name}`]);
  });

  it('reports an earlier failure at its own check', async (t) => {
    const repository = repositoryOf([PASSWORD]);
    const tried = ['resolve', 'connect', 'clock', 'key', 'region', 'bucket', 'list', 'write', 'read_back', 'delete'];
    for (const [check, part] of [
      ['repository', '/config'],
      ['password', '/keys/'],
    ] as const) {
      const server = await startRepository(t, repository, (_method, url) =>
        url.includes(part) ? 'refuse' : undefined,
      );
      const findings = await findingsOf(jobOf(valuesFor(server)));
      const passed = check === 'password' ? [...tried, 'repository'] : tried;
      assert.deepEqual(checksIn(findings, 'passed'), passed);
      assert.deepEqual(failureIn(findings), {
        check,
        state: 'failed',
        reason: 'access_denied',
        subject: 's3:GetObject',
      });
    }
  });

  it('is still checked if the bucket cannot be written to, and reported after that', async (t) => {
    const server = await startRepository(t, repositoryOf(['of another']), (method) =>
      method === 'PUT' ? 'refuse' : undefined,
    );
    const findings = await findingsOf(jobOf(valuesFor(server)));
    assert.deepEqual(checksIn(findings, 'failed'), ['write', 'password']);
    assert.equal(findingFor(findings, 'password').reason, 'wrong_password');
  });

  it('reports not_a_repository for a key that is listed but gone when it is read', async (t) => {
    const [gone, name] = [repositoryOf([PASSWORD]), 'ab'.repeat(32)];
    for (const provider of PROVIDERS) {
      const server = await startRepository(t, gone, undefined, (parameters) =>
        parameters.get('prefix') === 'keys/' ? `<Contents><Key>keys/${name}</Key></Contents>` : undefined,
      );
      const { state, reason, subject } = findingFor(
        await findingsOf(jobOf(valuesFor(server), { provider })),
        'password',
      );
      assert.deepEqual([state, reason, subject], ['failed', 'not_a_repository', `keys/${name}`]);
    }
  });

  it('derives no key with excessive parameters, nor without a password', async (t) => {
    const server = await startRepository(t, repositoryOf([PASSWORD], { ...COSTLY, p: COSTLY.p + 1 }));
    const derivations = await countDerivations(async () => {
      const refused = findingFor(await findingsOf(jobOf(valuesFor(server))), 'password');
      assert.equal(refused.reason, 'untrusted_parameters');
      const job = jobOf(valuesFor(server, ''));
      const { backup_password: _password, ...values } = job.values;
      for (const one of [job, { ...job, values }]) {
        const without = findingFor(await findingsOf(one), 'password');
        assert.deepEqual([without.state, without.reason], ['skipped', 'missing_field']);
      }
    });
    assert.equal(derivations, 0);
  });

  it('reports password_surrounded if the password would open it without the surrounding characters, as restic reads it from a file', async (t) => {
    const server = await startRepository(t, repositoryOf(['of another', PASSWORD]));
    const expected = { check: 'password', state: 'failed', reason: 'password_surrounded', field: 'backup_password' };
    for (const password of [`\ufeff${PASSWORD}`, `${PASSWORD}\n`, `${PASSWORD}\r\n`, `\ufeff ${PASSWORD}\u00a0`]) {
      assert.deepEqual(failureIn(await findingsOf(jobOf(valuesFor(server, password)))), expected);
    }
    for (const password of [`${PASSWORD}s\n`, `${PASSWORD}\ufeff`, '\n', '\ufeff']) {
      const failure = failureIn(await findingsOf(jobOf(valuesFor(server, password))));
      assert.deepEqual(failure, { ...expected, reason: 'wrong_password' });
    }
    // If the key was made with them, they belong to the password.
    const exact = await startRepository(t, repositoryOf([`\ufeff${PASSWORD}\n`]));
    const findings = await findingsOf(jobOf(valuesFor(exact, `\ufeff${PASSWORD}\n`)));
    assert.equal(findingFor(findings, 'password').state, 'passed');
  });

  it('reports wrong_password for a surrounded password that opens nothing, and reads no key twice', async (t) => {
    const repository = repositoryOf(['of another', 'of a third']);
    const read = new Set<string>();
    const server = await startRepository(t, repository, (_method, name) => {
      if (!name.includes('/keys/')) return undefined;
      const isAgain = read.has(name);
      read.add(name);
      return isAgain ? 'refuse' : undefined;
    });
    const failure = failureIn(await findingsOf(jobOf(valuesFor(server, `${PASSWORD}\n`))));
    assert.deepEqual([failure?.check, failure?.reason], ['password', 'wrong_password']);
    const names = repository.keys.map(({ name }) => name);
    assert.deepEqual(
      stepsIn(server).filter((step) => names.includes(step)),
      names,
    );
  });

  it('derives a second key only for a surrounded password', async (t) => {
    const server = await startRepository(t, repositoryOf(['of another']));
    const count = (password: string): Promise<number> =>
      countDerivations(async () => void (await findingsOf(jobOf(valuesFor(server, password)))));
    assert.deepEqual([await count('a password'), await count('a password\n')], [1, 2]);
  });

  it('asks for no keys if it must not list them, or there is no config that they could open', async (t) => {
    const repository = repositoryOf([PASSWORD]);
    for (const provider of PROVIDERS) {
      for (const [config, canList] of [
        [repository.config, false],
        [undefined, false],
        [new Uint8Array(5000), true],
      ] as const) {
        const server = await startRepository(t, { ...repository, config }, (_method, url) =>
          !canList && url.includes('list-type') ? 'refuse' : undefined,
        );
        const findings = await findingsOf(jobOf(valuesFor(server), { provider, restoreOnly: true }));
        const expected = config === undefined ? 'no_repository' : 'earlier_failure';
        assert.equal(findingFor(findings, 'password').reason, expected);
        assert.ok(server.seen.some((request) => request.includes('/config')));
        assert.deepEqual(
          server.seen.filter((request) => /^\w+ \S*(?:prefix=key|\/keys\/)/.test(request)),
          [],
        );
      }
    }
  });

  it('needs nothing written if the set is for restoring only', async (t) => {
    const repository = repositoryOf([PASSWORD]);
    const server = await startRepository(t, repository);
    const findings = await findingsOf(jobOf(valuesFor(server), { restoreOnly: true }));
    assert.equal(findingFor(findings, 'password').state, 'passed');
    assert.deepEqual(stepsIn(server), [repository.keys[0]?.name]);
  });

  it('does not delay a cancelled probe while its key is derived', async (t) => {
    const cancel = new AbortController();
    const server = await startRepository(t, RESTIC, (method) => {
      if (method === 'PUT') cancel.abort();
      return undefined;
    });
    const findings = await findingsOf(jobOf(valuesFor(server)), { signal: cancel.signal });
    assert.equal(isDeriving(), true);
    assert.equal(stepsIn(server).at(-1), 'DELETE');
    assert.deepEqual(findingFor(findings, 'password'), { check: 'password', state: 'skipped', reason: 'cancelled' });
  });

  it('does not keep the process running once its caller has gone', async (t) => {
    const child = new ProberChild(t);
    const server = await startRepository(t, repositoryOf([PASSWORD], COSTLY), (method) => {
      if (method === 'PUT') child.process.stdin?.end();
      return undefined;
    });
    child.send(`${JSON.stringify(jobOf(valuesFor(server)))}\0`);
    await child.ended;
    // It ends by a signal only while a key is being derived.
    assert.equal(child.process.signalCode, 'SIGTERM', child.stderr);
    assert.equal(stepsIn(server).at(-1), 'DELETE');
    assert.deepEqual(child.messages.at(-1), { done: true });
  });
});
