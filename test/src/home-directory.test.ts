import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { homeDirectory } from '../../src/home-directory.ts';

describe('homeDirectory()', () => {
  const unknown = (): string => {
    throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' });
  };

  it('takes $HOME, and asks the user database only where there is none', () => {
    assert.equal(homeDirectory({ HOME: '/home/ann' }, unknown), '/home/ann');
    for (const environment of [{}, { HOME: '' }]) {
      assert.equal(
        homeDirectory(environment, () => '/home/bert'),
        '/home/bert',
      );
    }
  });

  it('takes none that depends on where a program is started', () => {
    for (const home of ['.', 'home', '../ann', '~']) {
      // Node's look-up gives $HOME as it is.
      assert.equal(
        homeDirectory({ HOME: home }, () => home),
        undefined,
      );
    }
  });

  it('says so where the user database does not know the user, and of nothing else', () => {
    assert.equal(homeDirectory({}, unknown), undefined);
    // What Node makes of an empty HOME.
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
