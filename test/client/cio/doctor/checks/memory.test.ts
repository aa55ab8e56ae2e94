import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkCoreDumps } from '../../../../../client/cio/doctor/checks/core-dumps.ts';
import { checkSwap } from '../../../../../client/cio/doctor/checks/swap.ts';
import type { Facts, ProcessFacts, SwapDevice } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import type { StatusOut } from '../../../../../src/protocol/interface.generated.ts';
import { answering, assertWell, PROCESS, SILENT, told, WELL } from '../host.ts';

interface Memory {
  readonly status?: Partial<StatusOut>;
  readonly process?: Partial<ProcessFacts>;
  readonly swap?: readonly SwapDevice[];
}

function host({ status = {}, process = {}, swap = [] }: Memory): Facts {
  return { ...answering(status), process: { value: { ...PROCESS, ...process } }, swap: { value: swap } };
}

const UNLIMITED = { coreLimit: { value: { soft: 'unlimited', hard: 'unlimited' } } };
const DISK: SwapDevice = { name: '/dev/sda2', protection: 'none' };
const ZRAM: SwapDevice = { name: '/dev/zram0', protection: 'memory' };
const FREE = { swapMax: { value: 'max' } };
const BY_HAND = { unit: { value: undefined } };

describe('checkCoreDumps()', () => {
  it('finds nothing about a process that cannot be dumped', () => {
    assertWell(checkCoreDumps(WELL));
    assert.deepEqual(told(checkCoreDumps(host({ process: { ...UNLIMITED, ...BY_HAND } }))), []);
  });

  for (const [what, memory, state] of [
    ['a dumpable process', { status: { undumpable: false }, process: UNLIMITED }, 'error'],
    ['a dumpable process with a limit', { status: { undumpable: false } }, 'warning'],
    ['a unit without a limit', { process: UNLIMITED }, 'warning'],
    ['a user who is not told', { status: { undumpable: null } }, 'skipped'],
    ['a limit that cannot be seen', { process: { coreLimit: { unseen: 'for root' } } }, 'skipped'],
  ] as const) {
    it(`gives ${state} for ${what}`, () => assert.equal(stateOf(checkCoreDumps(host(memory))), state));
  }

  it("suggests restarting the host's service only for a daemon that runs in it", () => {
    const what = 'warning: the memory of the daemon can be dumped; only its limit on core files prevents it';
    const restart = `${what} | systemctl restart cio-credentiald.service`;
    assert.deepEqual(told(checkCoreDumps(host({ status: { undumpable: false } }))), [restart]);
    const ofUser = host({ status: { undumpable: false }, process: { unit: { value: 'user@1000.service' } } });
    assert.deepEqual(told(checkCoreDumps(ofUser)), [what]);
  });

  it('skips what the daemon does not reveal, and says why', () => {
    assert.ok(checkCoreDumps(SILENT).unseen.includes('the daemon does not answer'));
    const { unseen } = checkCoreDumps(host({ status: { undumpable: null } }));
    assert.deepEqual(unseen, ['only administrators can see whether the process is dumpable']);
  });
});

describe('checkSwap()', () => {
  for (const [what, memory, expected] of [
    ['no swap', { process: FREE }, []],
    ['a cgroup that may not swap', { swap: [DISK] }, []],
    [
      'a disk',
      { swap: [DISK], process: FREE },
      ['warning: values can be written to /dev/sda2 | systemctl set-property cio-credentiald.service MemorySwapMax=0'],
    ],
    [
      'a disk, without a bound of the cgroup',
      { swap: [DISK, ZRAM], process: { swapMax: { value: undefined }, ...BY_HAND } },
      ['warning: values can be written to /dev/sda2 | swapoff -a'],
    ],
    [
      'a disk, for a daemon whose control group has a bound, and is not its unit',
      { swap: [DISK], process: { ...FREE, ...BY_HAND } },
      ['warning: values can be written to /dev/sda2 | swapoff -a'],
    ],
    [
      'a disk, in a unit without a bound that could be set',
      { swap: [DISK], process: { swapMax: { value: undefined } } },
      ['warning: values can be written to /dev/sda2 | swapoff -a'],
    ],
    [
      'zram',
      { swap: [ZRAM], process: FREE },
      ['hint: values can be written to /dev/zram0 | systemctl set-property cio-credentiald.service MemorySwapMax=0'],
    ],
    [
      'keys that are not locked, by hand',
      { status: { keysLocked: false }, process: { ...BY_HAND, ...FREE } },
      ['warning: the keys are not locked in memory'],
    ],
    [
      'keys that are not locked, where nothing is swapped',
      { status: { keysLocked: false }, swap: [DISK] },
      [
        'hint: the keys are not locked in memory' +
          ' | systemctl revert cio-credentiald.service && systemctl restart cio-credentiald.service',
      ],
    ],
  ] as const) {
    it(`judges ${what}`, () => assert.deepEqual(told(checkSwap(host(memory))), expected));
  }

  it("reports keys that can reach a disk as an error, repaired by the unit's own limit", () => {
    const [finding] = checkSwap(host({ status: { keysLocked: false }, swap: [DISK], process: FREE })).findings;
    assert.equal(finding?.severity, 'error');
    assert.match(finding?.fix ?? '', /^systemctl revert cio-credentiald\.service && systemctl restart/);
  });

  it('says how to start a daemon outside of a unit so that it may lock its keys', () => {
    const why = (process: Partial<ProcessFacts>, swap: readonly SwapDevice[]): string | undefined =>
      checkSwap(host({ status: { keysLocked: false }, process: { ...FREE, ...process }, swap })).findings[0]?.why;
    const again = '; stop the daemon, and start it where ulimit -l says 8192 or more';
    const reach = 'they can be written to a swap device, where they stay';
    assert.equal(why(BY_HAND, []), `${reach}; there is none now${again}`);
    assert.equal(why(BY_HAND, [DISK]), reach + again);
    assert.equal(why({}, [DISK]), reach);
  });

  it('says what it could not see', () => {
    assert.ok(checkSwap(SILENT).unseen.includes('the daemon does not answer'));
    const { unseen } = checkSwap(host({ status: { keysLocked: null } }));
    assert.deepEqual(unseen, ['only administrators can see whether the keys are locked']);
  });

  it("keeps unlocked keys an error where the cgroup's swap limit cannot be seen", () => {
    const unlocked = { status: { keysLocked: false }, swap: [DISK] };
    for (const facts of [
      host({ ...unlocked, process: { swapMax: { unseen: 'hidden' } } }),
      { ...host(unlocked), process: { unseen: 'hidden' } },
    ]) {
      assert.match(told(checkSwap(facts)).join(), /^error: the keys are not locked in memory(?: \| [^,]*)?$/);
    }
    const { process } = host({ process: { swapMax: { unseen: 'hidden' } } });
    assert.deepEqual(told(checkSwap({ ...host({ swap: [DISK] }), process })), []);
  });

  it('never passes what it could not see', () => {
    for (const facts of [
      SILENT,
      host({ status: { keysLocked: null } }),
      host({ swap: [DISK], process: { swapMax: { unseen: 'hidden' } } }),
      { ...WELL, swap: { unseen: 'hidden' } },
    ]) {
      assert.equal(stateOf(checkSwap(facts)), 'skipped');
    }
  });
});
