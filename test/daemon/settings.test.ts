import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DAEMON_OPTIONS, type DaemonOption } from '../../daemon/options.ts';
import { USAGE, UsageError, parseSettings } from '../../daemon/settings.ts';
import type { Command, RawSettings, Settings } from '../../daemon/settings.ts';

const HOME = '/home/alice';

function parse(argv: readonly string[], raw: Partial<RawSettings> = {}): Command {
  return parseSettings({ argv, environment: {}, uid: 1000, pid: 4321, home: HOME, ...raw });
}

function settings(argv: readonly string[], raw: Partial<RawSettings> = {}): Settings {
  const command = parse(argv, raw);
  assert.ok(command.kind === 'run');
  return command.settings;
}

function places(argv: readonly string[], raw: Partial<RawSettings> = {}): [string, string] {
  const { stateDirectory, runtimeDirectory } = settings(argv, raw);
  return [stateDirectory, runtimeDirectory];
}

const XDG = { XDG_STATE_HOME: '/state', XDG_RUNTIME_DIR: '/run/user/1000' };
const SYSTEM = ['/var/lib/cio-credentiald', '/run/cio-credentiald'];

describe('parseSettings()', () => {
  it("uses the user's directories, by the XDG Base Directory Specification", () => {
    const state = '/home/alice/.local/state/cio-credentiald';
    assert.deepEqual(places([], { environment: XDG }), ['/state/cio-credentiald', '/run/user/1000/cio-credentiald']);
    assert.deepEqual(places([]), [state, `${state}/run`]);
    assert.deepEqual(places([], { environment: { XDG_RUNTIME_DIR: '/r' } }), [state, '/r/cio-credentiald']);
  });

  it('ignores XDG directories that are not absolute, as the specification says', () => {
    const state = '/home/alice/.local/state/cio-credentiald';
    for (const odd of ['', '.', 'state', '~/state', './state']) {
      assert.deepEqual(places([], { environment: { XDG_STATE_HOME: odd, XDG_RUNTIME_DIR: odd } }), [
        state,
        `${state}/run`,
      ]);
    }
  });

  it("limits the watchdog's time to the longest timer", () => {
    const watchdogMs = (usec: string): unknown => settings([], { environment: { WATCHDOG_USEC: usec } }).watchdogMs;
    assert.deepEqual(['3000', '99999999999999999', '0', 'never'].map(watchdogMs), [
      3,
      2 ** 31 - 1,
      undefined,
      undefined,
    ]);
  });

  it("uses the system's directories for root, and with --system", () => {
    assert.deepEqual(places([], { uid: 0, environment: XDG }), SYSTEM);
    assert.deepEqual(places(['--system'], { environment: XDG }), SYSTEM);
    assert.deepEqual(places(['--user'], { uid: 0, environment: XDG, home: '/root' }), [
      '/state/cio-credentiald',
      '/run/user/1000/cio-credentiald',
    ]);
  });

  it('prefers options to the environment, and both to the defaults', () => {
    const environment = { CIO_STATE_DIR: '/s', CIO_RUNTIME_DIR: '/r', ...XDG };
    assert.deepEqual(places([], { environment }), ['/s', '/r']);
    assert.deepEqual(places([], { environment, uid: 0 }), ['/s', '/r']);
    assert.deepEqual(places(['--state-dir', '/a', '--runtime-dir=/b'], { environment }), ['/a', '/b']);
    assert.deepEqual(places(['--state-dir', '/a']), ['/a', '/a/run']);
  });

  it('needs no home directory if the state directory is given, and names --state-dir if neither is', () => {
    assert.deepEqual(places(['--state-dir', '/a'], { home: undefined }), ['/a', '/a/run']);
    assert.deepEqual(places([], { home: undefined, environment: XDG }), [
      '/state/cio-credentiald',
      '/run/user/1000/cio-credentiald',
    ]);
    assert.throws(() => places([], { home: undefined }), /^UsageError: .*no home directory.*--state-dir$/);
  });

  it('normalizes directories to absolute ones', () => {
    assert.deepEqual(places(['--state-dir', 'a/../b', '--runtime-dir', '/x/./y/']), [path.resolve('b'), '/x/y']);
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (given) => {
        const [state, runtime] = places([`--state-dir=${given}`, `--runtime-dir=${given}`]);
        assert.ok(path.isAbsolute(state) && path.normalize(state) === state);
        assert.equal(state, runtime);
      }),
    );
  });

  it("is public only with the system's directories", () => {
    assert.equal(settings([], { uid: 0 }).isPublic, true);
    assert.equal(settings(['--system']).isPublic, true);
    assert.equal(settings(['--user'], { uid: 0 }).isPublic, false);
    assert.equal(settings([]).isPublic, false);
  });

  it('returns the credentials directory that systemd set', () => {
    const environment = { CREDENTIALS_DIRECTORY: '/run/credentials/c.service' };
    assert.equal(settings([], { environment }).credentialsDirectory, '/run/credentials/c.service');
    assert.equal(settings([]).credentialsDirectory, undefined);
    assert.equal(settings([], { environment: { CREDENTIALS_DIRECTORY: 'relative' } }).credentialsDirectory, undefined);
  });

  it('validates every six hours with --system, otherwise never, unless told', () => {
    const hours = (argv: readonly string[], raw: Partial<RawSettings> = {}): number | undefined => {
      const { validateEveryMs } = settings(argv, raw);
      return validateEveryMs === undefined ? undefined : validateEveryMs / 3_600_000;
    };
    assert.deepEqual(
      [hours(['--system']), hours([]), hours([], { uid: 0 }), hours(['--user'])],
      [6, undefined, undefined, undefined],
    );
    const environment = { CIO_VALIDATE_EVERY: '2h' };
    assert.deepEqual([hours([], { environment }), hours(['--system'], { environment })], [2, 2]);
    assert.equal(hours(['--validate-every', '1d'], { environment }), 24);
    assert.equal(hours(['--system', '--validate-every=off'], { environment }), undefined);
    for (const odd of ['', 'secret', '0', '5', '59s', '1.5h', '-1h', '31d', '1h ', 'OFF']) {
      assert.throws(() => settings([`--validate-every=${odd}`]), UsageError, odd);
      assert.throws(() => settings([], { environment: { CIO_VALIDATE_EVERY: odd } }), UsageError, odd);
    }
  });

  it('returns the damaged store to salvage, and where the new one is to be', () => {
    const of = { stateDirectory: '/s', damaged: path.resolve('old/credentials.db') };
    const words = ['--salvage', 'old/credentials.db', '--state-dir', '/s'];
    assert.deepEqual(parse(words), { kind: 'salvage', settings: { ...of, keysFrom: undefined } });
    assert.deepEqual(parse([...words, '--keys-from=/copy']), {
      kind: 'salvage',
      settings: { ...of, keysFrom: '/copy' },
    });
  });

  it('accepts --help and --version whatever the other arguments', () => {
    assert.deepEqual(parse(['--help']), { kind: 'help' });
    assert.deepEqual(parse(['-h', '--version']), { kind: 'help' });
    assert.deepEqual(parse(['--version', '--user', '--system']), { kind: 'version' });
  });

  const refused: Record<string, readonly string[]> = {
    'an unknown option': ['--secret-option'],
    'an argument': ['secret-argument'],
    'an option without its value': ['--state-dir'],
    'an option in place of a value': ['--state-dir', '--user'],
    'a value for a flag': ['--user=secret'],
    'an empty path': ['--state-dir', ''],
    'an empty path of the runtime directory': ['--runtime-dir='],
    'an invalid time': ['--validate-every', 'secret'],
    'contradicting options': ['--user', '--system'],
    'an empty name of a damaged store': ['--salvage='],
    '--keys-from without --salvage': ['--keys-from', 'secret'],
  };
  for (const [what, argv] of Object.entries(refused)) {
    it(`refuses ${what}, and does not repeat it`, () => {
      assert.throws(
        () => parse(argv),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.ok(!error.message.includes('secret'));
          return true;
        },
      );
    });
  }

  it('refuses an empty path, and names its option or variable', () => {
    for (const name of ['CIO_STATE_DIR', 'CIO_RUNTIME_DIR']) {
      assert.throws(() => parse([], { environment: { [name]: '' } }), new UsageError(`${name} is empty`));
    }
    const environment = { CIO_STATE_DIR: '' };
    assert.throws(() => parse(['--state-dir='], { environment }), new UsageError('--state-dir is empty'));
  });

  it('names the option or variable of an invalid interval, and its limits', () => {
    const reason = 'is neither off nor a time from 1m to 30d, like 30m, 6h or 1d';
    assert.throws(() => parse(['--validate-every=10s']), new UsageError(`--validate-every ${reason}`));
    const environment = { CIO_VALIDATE_EVERY: '1' };
    assert.throws(() => parse([], { environment }), new UsageError(`CIO_VALIDATE_EVERY ${reason}`));
  });

  it('returns settings or throws a UsageError, whatever the arguments', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('--user', '--state-dir', '--', '-h'))), (argv) => {
        try {
          parse(argv);
        } catch (error) {
          assert.ok(error instanceof UsageError);
        }
      }),
    );
  });
});

describe('USAGE', () => {
  it('lists every option with its variable', () => {
    for (const [name, { variable }] of Object.entries<DaemonOption>(DAEMON_OPTIONS)) {
      assert.match(USAGE, new RegExp(`^  --${name} .*${variable === undefined ? '' : `\\[${variable}\\]`}$`, 'm'));
    }
  });
});
