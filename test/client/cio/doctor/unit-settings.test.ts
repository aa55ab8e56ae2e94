import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { scanUnits } from '../../../../client/cio/doctor/gather/units.ts';
import { settingsIn, settingsOfUnits } from '../../../../client/cio/doctor/unit-settings.ts';
import { asIdentity } from '../../../support/identity.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { unitFile } from './host.ts';

const SYSTEMD = '/usr/lib/systemd/systemd';
const NOBODY = { uid: 65534, gid: 65534 };

/**
 * Makes three folders of units, highest precedence first. Each file sets `EnvironmentFile=` to its own path within them,
 * unless its text is given.
 */
function makeFolders(
  context: TestContext,
  files: readonly (string | readonly [name: string, text: string])[],
): string[] {
  const host = temporaryDirectory(context);
  const folders = ['etc', 'run', 'lib'].map((name) => path.join(host, name));
  for (const folder of folders) fs.mkdirSync(folder);
  for (const each of files) {
    const [name, text] = typeof each === 'string' ? [each, `[Service]\nEnvironmentFile=/${each}\n`] : each;
    const file = path.join(host, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (text === '') fs.symlinkSync('/dev/null', file);
    else fs.writeFileSync(file, name.endsWith('.service') ? `${text}[Service]\nExecStart=/bin/true\n` : text);
  }
  execFileSync('chmod', ['-R', 'a+rX', ...folders]);
  return folders;
}

/** Returns the environment files of each unit in a dump by systemd itself; undefined if that cannot be had here. */
function askSystemd(context: TestContext, folders: readonly string[]): Map<string, string[]> | undefined {
  const runtime = temporaryDirectory(context);
  const command = [SYSTEMD, '--test', '--user', '--unit=default.target'];
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) fs.chownSync(runtime, NOBODY.uid, NOBODY.gid);
  const [program = '', ...args] = isRoot ? asIdentity(NOBODY, command) : command;
  let dump: string;
  try {
    const env = { ...process.env, HOME: runtime, XDG_RUNTIME_DIR: runtime, SYSTEMD_UNIT_PATH: folders.join(':') };
    dump = execFileSync(program, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
  } catch {
    return undefined;
  }
  const [, ...units] = dump.split(/^\t-> Unit /m);
  const files = units.map((text): [unit: string, values: string[]] => {
    const values = [...text.matchAll(/^\t\tEnvironmentFile: (.*)$/gm)].map(([, value = '']) => value);
    return [text.slice(0, text.indexOf(':\n')), values];
  });
  // Without any, this systemd has another format for its dump.
  return files.some(([, values]) => values.length > 0) ? new Map(files) : undefined;
}

/** Asserts the values of the units' `EnvironmentFile=`, and that they are those of systemd itself, if it can be asked. */
function assertSettings(
  context: TestContext,
  files: Parameters<typeof makeFolders>[1],
  expected: Readonly<Record<string, readonly string[]>>,
): void {
  const units = Object.keys(expected);
  const wants = units.map((unit) => [`lib/x.target.wants/${unit}`, ''] as const);
  const target = ['lib/default.target', `[Unit]\nWants=${units.join(' ')}\n`] as const;
  const folders = makeFolders(context, [...files, ...wants, target]);
  const found = settingsOfUnits(scanUnits('', folders));
  const asked = askSystemd(context, folders);
  if (asked === undefined) context.diagnostic('not compared with systemd, which cannot be asked here');
  for (const unit of units) {
    const values = expected[unit]?.map((file) => `/${file}`);
    const settings = found.get(unit)?.map(({ value }) => value);
    assert.deepEqual(settings, values, unit);
    if (asked !== undefined) assert.deepEqual(asked.get(unit), values, `${unit} in systemd`);
  }
}

const CLEAR = '[Service]\nEnvironmentFile=\n';

describe('settingsOfUnits()', () => {
  it('applies drop-ins by name, whatever they belong to', (context) => {
    const files = [
      'lib/a-b-c.service',
      'lib/service.d/10.conf',
      'etc/a-.service.d/20.conf',
      'run/a-b-c.service.d/30.conf',
      'lib/a-b-.service.d/40.conf',
    ];
    const others = [
      'etc/a-b-c-.service.d/1.conf',
      'etc/b-.service.d/2.conf',
      'etc/a-b.service.d/3.conf',
      'etc/a.service.d/4.conf',
    ];
    assertSettings(context, [...files, ...others], { 'a-b-c.service': files });
  });

  it('takes one of the drop-ins with the same name: by folder, then by how specific it is, those of a type last', (context) => {
    assertSettings(
      context,
      [
        'lib/a-b-c.service',
        'etc/a-.service.d/10.conf',
        'lib/a-b-c.service.d/10.conf',
        'run/a-.service.d/20.conf',
        'run/a-b-.service.d/20.conf',
        'etc/service.d/30.conf',
        'lib/a-.service.d/30.conf',
        ['etc/a-b-c.service.d/40.conf', ''],
        'run/a-.service.d/40.conf',
      ],
      {
        'a-b-c.service': [
          'lib/a-b-c.service',
          'etc/a-.service.d/10.conf',
          'run/a-b-.service.d/20.conf',
          'lib/a-.service.d/30.conf',
        ],
      },
    );
  });

  it('cuts names off after a dash as systemd does', (context) => {
    assertSettings(
      context,
      [
        'lib/a--b.service',
        'lib/a--.service.d/1.conf',
        'lib/a-.service.d/2.conf',
        'lib/-a.service',
        'lib/-.service.d/3.conf',
      ],
      {
        'a--b.service': ['lib/a--b.service', 'lib/a--.service.d/1.conf', 'lib/a-.service.d/2.conf'],
        '-a.service': ['lib/-a.service'],
      },
    );
  });

  it('applies the files of a template to its instances, unless an own one hides them', (context) => {
    const names = ['a-b@x', 'a-b@', 'a-', 'a-@x', 'a-@'];
    // Of the drop-ins N.conf, those of the first N names are left out, so that each name is once the first.
    const dropIns = names.flatMap((_, count) =>
      names.slice(count).map((name) => `lib/${name}.service.d/${count}.conf`),
    );
    assertSettings(
      context,
      [
        'lib/a-b@.service',
        ...dropIns,
        'lib/c@.service',
        'etc/c@.service.d/1.conf',
        'lib/c@x.service.d/1.conf',
        'run/c@x.service',
      ],
      {
        'a-b@x.service': ['lib/a-b@.service', ...names.map((name, count) => `lib/${name}.service.d/${count}.conf`)],
        'c@x.service': ['run/c@x.service', 'etc/c@.service.d/1.conf'],
      },
    );
  });

  it('leaves out what a later empty value clears', (context) => {
    assertSettings(
      context,
      [
        ...['a-b', 'a-c', 'd'].map((name) => `lib/${name}.service`),
        ['lib/a-.service.d/20.conf', CLEAR],
        'lib/service.d/10.conf',
        'etc/a-b.service.d/30.conf',
        // Hides the one that clears.
        'lib/a-c.service.d/20.conf',
        ['etc/d.service.d/50.conf', '[Socket]\nEnvironmentFile=\n[service]\nEnvironmentFile=\n'],
      ],
      {
        'a-b.service': ['etc/a-b.service.d/30.conf'],
        'a-c.service': ['lib/a-c.service', 'lib/service.d/10.conf', 'lib/a-c.service.d/20.conf'],
        'd.service': ['lib/d.service', 'lib/service.d/10.conf'],
      },
    );
  });
});

describe('settingsIn()', () => {
  const keysIn = (...assignments: Parameters<typeof unitFile>[1][]): string[] =>
    settingsIn('r.service', [unitFile('r.service', ...assignments)]).map(({ key }) => key);

  it('clears the list that a setting shares with another one, and no other list', () => {
    const lists = [
      ['LoadCredential', 'LoadCredentialEncrypted'],
      ['SetCredential', 'SetCredentialEncrypted'],
      ['ImportCredential'],
      ['EnvironmentFile'],
    ];
    const all = lists.flat();
    for (const list of lists) {
      for (const key of list) {
        const rest = all.filter((each) => !list.includes(each));
        assert.deepEqual(keysIn(...all.map((each) => [each, 'x'] as const), [key, '']), rest);
        assert.deepEqual(keysIn([key, ''], ...all.map((each) => [each, 'x'] as const)), all);
      }
    }
  });
});
