import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkSlots } from '../../../../../client/cio/doctor/checks/slots.ts';
import { checkStore } from '../../../../../client/cio/doctor/checks/store.ts';
import type { Facts, StoreFacts } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import type { Slot } from '../../../../../src/protocol/interface.generated.ts';
import { answering, assertWell, file, PROCESS, seenFile, SILENT, STORE, told, WELL } from '../host.ts';

const FOLDER = '/var/lib/cio-credentiald';

function host(changed: Partial<StoreFacts>): Facts {
  return { ...WELL, store: { value: { ...STORE, ...changed } } };
}

function withSlots(kinds: readonly Slot['kind'][], changed: Partial<StoreFacts> = {}): Facts {
  return answering({ slots: kinds.map((kind, index) => ({ id: `${index}`, kind, created: 1 })) }, host(changed));
}

describe('checkStore()', () => {
  it('finds nothing about a healthy store', () => {
    assertWell(checkStore(WELL));
  });

  for (const [what, changed, expected] of [
    [
      'a folder open to others',
      { directory: seenFile(FOLDER, 'directory', 0o755) },
      /^error: .* has mode 0755, not 0700 \| chmod 0700 \/var\/lib\/cio-credentiald$/,
    ],
    ['a folder of another', { directory: seenFile(FOLDER, 'directory', 0o700, 5) }, /^error: .* uid 5.* \| chown 990 /],
    ['a folder that is a file', { directory: seenFile(FOLDER, 'file', 0o600) }, /^error: .* is not a directory$/],
    ['a folder that is gone', { directory: { value: undefined } }, /^error: the state directory is gone$/],
    [
      'a key file open to others',
      { files: { value: [file(`${FOLDER}/root.key`, 'file', 0o640)] } },
      /^error: .*root\.key has mode 0640, not 0600 \| chmod 0600 /,
    ],
    ['NFS', { mount: { value: { type: 'nfs4', isReadOnly: false } } }, /^error: .* network file system \(nfs4\)$/],
    ['sshfs', { mount: { value: { type: 'fuse.sshfs', isReadOnly: false } } }, /^error: .* \(fuse\.sshfs\)$/],
    [
      'a store in memory',
      { mount: { value: { type: 'tmpfs', isReadOnly: false } } },
      /^error: .* in memory \(tmpfs\)$/,
    ],
    [
      'a read-only disk',
      { mount: { value: { type: 'ext4', isReadOnly: true } } },
      /^error: .* is read-only \| mount -o remount,rw "\$\(findmnt -n -o TARGET -T \/var\/lib\/cio-credentiald\)"$/,
    ],
    ['a full disk', { freeBytes: { value: 1024 ** 2 } }, /^warning: .* has 1 MiB left \| du /],
    [
      'a disk too small for a rekey',
      { freeBytes: { value: 100 * 1024 ** 2 }, databaseBytes: { value: 60 * 1024 ** 2 } },
      /^warning: .* has 100 MiB left/,
    ],
  ] as const) {
    it(`reports ${what}`, () => {
      const said = told(checkStore(host(changed)));
      assert.equal(said.length, 1, said.join('\n'));
      assert.match(said[0] ?? '', expected);
    });
  }

  it('computes the space that a rekey needs, and accepts exactly that much', () => {
    const MIB = 1024 ** 2;
    const free = (freeBytes: number, databaseBytes: number): string[] => {
      const { findings } = checkStore(
        host({ freeBytes: { value: freeBytes }, databaseBytes: { value: databaseBytes } }),
      );
      return findings.map(({ what, why }) => `${what}; ${why}`);
    };
    assert.deepEqual([free(64 * MIB, 0), free(120 * MIB, 60 * MIB)], [[], []]);
    assert.match(free(64 * MIB - 1, 0).join(), / has 63 MiB left; .* may need 64 MiB;/);
    assert.match(free(121 * MIB, 61 * MIB).join(), / has 121 MiB left; .* may need 122 MiB;/);
    const hidden = { directory: { unseen: 'hidden' }, databaseBytes: { unseen: 'hidden' }, freeBytes: { value: MIB } };
    assert.match(told(checkStore(host(hidden))).join(), /^warning: the file system of the state directory has 1 MiB/);
    assert.deepEqual(told(checkStore(host({ freeBytes: { unseen: 'hidden' } }))), []);
  });

  it('reports a store that the daemon found damaged, and nothing for one that is intact', () => {
    const said = told(checkStore(answering({ intact: false })));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^error: .* replaced by older ones \| cio credential fsck$/);
    assertWell(checkStore(answering({ intact: true })));
  });

  it('accepts local file systems whose names resemble those of network ones', () => {
    for (const type of ['xfs', 'btrfs', 'zfs', 'overlay', 'fuse.unionfs', 'nfsd', 'xnfs', 'devtmpfs', 'tmpfs2']) {
      assert.deepEqual(told(checkStore(host({ mount: { value: { type, isReadOnly: false } } }))), []);
    }
  });

  it("suggests no command for a path that a stranger's daemon names", () => {
    const open = { directory: seenFile('/etc', 'directory', 0o755, 0) };
    assert.ok('value' in WELL.sockets);
    const sockets = { value: { ...WELL.sockets.value, isHeldByDaemon: { value: false } } };
    for (const facts of [
      answering({ uid: 4242 }, host(open)),
      { ...host(open), process: { unseen: 'process 100 is not the daemon here' } },
      { ...host(open), sockets },
    ]) {
      const verdict = checkStore(facts);
      assert.deepEqual([told(verdict), stateOf(verdict)], [[], 'skipped']);
    }
    assert.equal(told(checkStore(host(open))).length, 2);
  });

  it('never passes what it could not see', () => {
    for (const part of ['directory', 'files', 'mount', 'freeBytes', 'databaseBytes'] as const) {
      assert.equal(stateOf(checkStore(host({ [part]: { unseen: 'for root to see' } }))), 'skipped', part);
    }
    assert.equal(stateOf(checkStore(SILENT)), 'skipped');
  });
});

describe('checkSlots()', () => {
  it('says when everything is lost, for a slot of any kind', () => {
    assert.match(JSON.stringify(checkSlots(withSlots(['passphrase']))), /lost when the passphrase is forgotten/);
    assert.match(JSON.stringify(checkSlots(withSlots(['constructor']))), /lost when what it needs is lost/);
  });

  const keyFile = { files: { value: [file(`${FOLDER}/root.key`, 'file', 0o600)] } };

  for (const [what, facts, expected] of [
    ['systemd and a recovery code', withSlots(['systemd', 'recovery']), []],
    ['a key file elsewhere and a passphrase', withSlots(['keyfile', 'passphrase']), []],
    [
      'one slot',
      withSlots(['systemd']),
      [/^warning: there is one slot \(systemd\), .* \| cio credential slot add recovery$/],
    ],
    [
      'one slot of a kind that only a newer daemon has',
      withSlots(['constructor']),
      [
        /^warning: there is one slot \(constructor\), .* \| cio credential slot add recovery$/,
        /no slot opens the store unattended/,
      ],
    ],
    ['systemd alone, twice', withSlots(['systemd', 'systemd']), [/^warning: all slots .* \| cio credential slot add/]],
    [
      'a key file beside the store',
      withSlots(['keyfile', 'recovery'], keyFile),
      [/^warning: the key file .*root\.key .* \| cio credential slot add systemd cio-credentiald\.root-key$/],
    ],
    [
      'a key file beside the store, where systemd has no key yet',
      withSlots(['keyfile', 'recovery'], { ...keyFile, hasSystemdKey: { value: false } }),
      [/ \| mkdir -p .* \{ test -e .* systemd-creds encrypt .* && systemctl restart .* && cio credential slot add sys/],
    ],
    [
      'systemd and a recovery code, where systemd has no key any more',
      withSlots(['systemd', 'recovery'], { hasSystemdKey: { value: false } }),
      [
        /^warning: systemd's key is not at \/etc\/.* \| mkdir -p .* restart \S+ && cio credential unlock --recovery && cio credential slot add systemd cio-cred/,
      ],
    ],
    [
      'systemd and a passphrase, where systemd has no key any more',
      withSlots(['systemd', 'passphrase'], { hasSystemdKey: { value: false } }),
      [/ \| mkdir -p .* restart \S+ && cio credential unlock && cio credential slot add systemd/],
    ],
    [
      'systemd alone without a key, whose only copy a restart would take from the daemon',
      withSlots(['systemd'], { hasSystemdKey: { value: false } }),
      [
        /there is one slot/,
        / \| cio credential slot add recovery && mkdir -p .* restart \S+ && cio credential unlock --recovery && cio cred/,
      ],
    ],
    [
      'systemd without a key, and a key file',
      withSlots(['systemd', 'keyfile'], { hasSystemdKey: { value: false } }),
      [],
    ],
    ['a key file and systemd', withSlots(['keyfile', 'systemd', 'recovery'], keyFile), []],
    ['nothing unattended', withSlots(['passphrase', 'recovery']), [/^hint: no slot opens the store unattended$/]],
  ] as const) {
    it(`judges ${what}`, () => {
      const said = told(checkSlots(facts));
      assert.equal(said.length, expected.length, said.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? '', pattern);
    });
  }

  it('finds nothing about a store without slots, nor about a systemd key that the daemon is not given', () => {
    assert.deepEqual(told(checkSlots(withSlots([]))), []);
    const keyless = withSlots(['systemd', 'recovery'], { hasSystemdKey: { value: false } });
    const byHand = { ...keyless, process: { value: { ...PROCESS, unit: { value: undefined } } } };
    assertWell(checkSlots(byHand));
  });

  it("suggests making systemd's key where it cannot see whether there is one, and says so", () => {
    const verdict = checkSlots(withSlots(['keyfile', 'recovery'], { ...keyFile, hasSystemdKey: { unseen: 'hidden' } }));
    assert.match(told(verdict).join(), / \| mkdir -p .* systemd-creds encrypt /);
    assert.deepEqual(verdict.unseen, ['hidden']);
    for (const facts of [withSlots(['keyfile', 'recovery']), withSlots(['systemd', 'recovery'])]) {
      const hidden = checkSlots({ ...facts, store: { unseen: 'hidden' } });
      assert.deepEqual([told(hidden), hidden.unseen], [[], ['hidden']]);
    }
  });

  it('suggests no systemd slot for a daemon that does not run in its unit', () => {
    const facts = withSlots(['keyfile', 'recovery'], keyFile);
    const byHand = { ...facts, process: { value: { ...PROCESS, unit: { value: undefined } } } };
    assert.match(told(checkSlots(byHand)).join(), /^warning: the key file [^|]*$/);
  });

  it('skips what the daemon reveals to administrators only', () => {
    assert.deepEqual(checkSlots(answering({ slots: null })).unseen, ['only administrators can see the slots']);
    assert.deepEqual(checkSlots(SILENT).unseen, ['the daemon does not answer']);
  });
});
