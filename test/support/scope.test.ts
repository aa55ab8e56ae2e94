import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { atEnd } from './scope.ts';

describe('atEnd()', () => {
  it('runs all clean-ups in reverse order, even if one fails', async () => {
    const done: string[] = [];
    const hooks: (() => void | Promise<void>)[] = [];
    const scope = { after: (hook: () => void | Promise<void>) => void hooks.push(hook) };
    atEnd(scope, () => void done.push('folder'));
    atEnd(scope, async () => {
      await Promise.resolve();
      done.push('process');
    });
    atEnd(scope, () => {
      throw new Error('cannot be unmounted');
    });
    assert.equal(hooks.length, 1);
    await assert.rejects(async () => hooks[0]?.(), { message: 'cannot be unmounted' });
    assert.deepEqual(done, ['process', 'folder']);
  });

  it('leaves the order to a scope that already runs clean-ups in reverse', () => {
    const hooks: unknown[] = [];
    const scope = { after: (hook: unknown) => void hooks.push(hook), isLastFirst: true };
    const [first, second] = [(): void => undefined, (): void => undefined];
    atEnd(scope, first);
    atEnd(scope, second);
    assert.deepEqual(hooks, [first, second]);
  });
});
