import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { homeDirectory } from '../../src/home-directory.ts';

describe('homeDirectory()', () => {
  const unknown = (): string => {
    throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' });
  };

  it('returns $HOME, and asks the user database only if that is unset or empty', () => {
    assert.equal(homeDirectory({ HOME: '/home/ann' }, unknown), '/home/ann');
    for (const environment of [{}, { HOME: '' }]) {
      assert.equal(
        homeDirectory(environment, () => '/home/bert'),
        '/home/bert',
      );
    }
  });

  it('returns undefined for a relative directory', () => {
    for (const home of ['.', 'home', '../ann', '~']) {
      // Node's look-up returns $HOME as it is.
      assert.equal(
        homeDirectory({ HOME: home }, () => home),
        undefined,
      );
    }
  });

  it('returns undefined if the user database does not know the user, and passes other errors on', () => {
    assert.equal(homeDirectory({}, unknown), undefined);
    // os.homedir() returns an empty HOME.
    assert.equal(
      homeDirectory({ HOME: '' }, () => ''),
      undefined,
    );
    const broken = (): string => {
      throw new TypeError('a defect');
    };
    assert.throws(() => homeDirectory({}, broken), TypeError);
  });
});
