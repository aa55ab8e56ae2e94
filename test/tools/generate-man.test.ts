import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { GLOBAL_OPTIONS, type Option } from '../../client/cio/command.ts';
import { COMMAND_EXIT } from '../../client/cio/command-error.ts';
import { COMMANDS } from '../../client/cio/commands.ts';
import { DAEMON_OPTIONS, type DaemonOption } from '../../daemon/options.ts';
import { EXIT } from '../../src/errors.ts';
import { parseInterface } from '../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../../src/protocol/interface.generated.ts';
import { renderPages } from '../../tools/generate-man.ts';
import { renderProse } from '../../tools/man/prose.ts';
import { command, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const pages = renderPages('2026-11-22');

/** Renders a page as a reader sees it, with single spaces. */
function textOf(place: string): string {
  const args = ['-Tutf8', '-man', '-P-cbou', '-rLL=4000n'];
  const { stdout, status } = spawnSync('groff', args, { input: pages.get(place) ?? '', encoding: 'utf8' });
  assert.equal(status, 0);
  return stdout.replaceAll(/\s+/g, ' ');
}

/** The section of a page that lists the environment variables. */
function environmentOf(place: string): string {
  return / ENVIRONMENT (.*) FILES /.exec(textOf(place))?.[1] ?? '';
}

function assertHas(text: string, parts: readonly string[]): void {
  for (const part of parts) assert.ok(text.includes(part.replaceAll(/\s+/g, ' ').trim()), `it has no ${part}`);
}

/** The names of the environment variables that the sources of a folder read. */
function variablesOf(folder: string, isWanted: (file: string) => boolean): ReadonlySet<string> {
  const files = fs.globSync('**/*.ts', { cwd: path.join(ROOT, folder) }).filter(isWanted);
  const text = files.map((file) => fs.readFileSync(path.join(ROOT, folder, file), 'utf8')).join('');
  return new Set([...text.matchAll(/\b(?:env|environment)\['([A-Z_]+)'\]/g)].map(([, name = '']) => name));
}

describe('the manual pages', { skip: skipUnless(command('groff', 'groff-base')) }, () => {
  it('are accepted by man without a warning', { skip: skipUnless(command('man', 'man-db')) }, (t) => {
    const folder = temporaryDirectory(t);
    for (const [place, text] of pages) {
      fs.mkdirSync(path.dirname(path.join(folder, place)), { recursive: true });
      fs.writeFileSync(path.join(folder, place), text);
    }
    for (const place of pages.keys()) {
      // The options with which Debian's lintian runs man.
      const args = ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', place];
      const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', MANROFFSEQ: '' };
      const { status, stderr } = spawnSync('man', args, { cwd: folder, env, encoding: 'utf8' });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, place);
      const named = spawnSync('lexgrog', [place], { cwd: folder, env, encoding: 'utf8' });
      assert.match(named.stdout, /: "[\w.-]+ - .+"\n$/, `whatis finds no name in ${place}`);
    }
  });

  it('list every command with its aliases, arguments, options and examples, and nothing hidden', () => {
    const text = textOf('man1/cio-credential.1');
    for (const { name, aliases = [], summary, details = '', positionals, options, examples, isHidden } of COMMANDS) {
      if (isHidden === true) continue;
      assertHas(text, [`cio credential ${name}`, [name, ...aliases].join(', '), `${summary}.`]);
      assertHas(text, [...details.replaceAll('`', '').split(/\n\s*\n/), ...Object.keys(positionals)]);
      assertHas(text, [...examples.flat(), ...Object.values(positionals).map(({ describe }) => describe)]);
      for (const [option, { describe, isHidden, value, short }] of Object.entries<Option>(options)) {
        const term = `${short === undefined ? '' : `-${short}, `}--${option}${value === undefined ? '' : ` ${value}`}`;
        if (isHidden === true) assert.ok(!text.includes(`${term} ${describe}`), option);
        else assertHas(text, [`${term} ${describe}`]);
      }
    }
    assertHas(
      text,
      Object.keys(GLOBAL_OPTIONS).map((option) => `--${option}`),
    );
  });

  it('list every exit code', () => {
    const text = textOf('man1/cio-credential.1');
    const [, status = ''] = /EXIT STATUS (.*) ENVIRONMENT/.exec(text) ?? [];
    for (const code of [...Object.values(EXIT), ...Object.values(COMMAND_EXIT)]) {
      assert.match(status, new RegExp(`(?:^| )${code} [A-Z]`));
    }
  });

  it('list every environment variable that the programs read', () => {
    // Without the doctor, which passes variables on to other programs, and the prober.
    const client = variablesOf('client', (file) => !file.startsWith('cio/doctor/'));
    assert.ok(client.has('CIO_CREDENTIAL_SOCKET') && client.has('NO_COLOR'));
    assertHas(environmentOf('man1/cio-credential.1'), [...client]);
    const daemon = variablesOf('daemon', (file) => !file.startsWith('prober/'));
    assert.ok(daemon.has('XDG_STATE_HOME') && daemon.has('NOTIFY_SOCKET'));
    const ofOptions = Object.values<DaemonOption>(DAEMON_OPTIONS).flatMap(({ variable }) => variable ?? []);
    assert.ok(ofOptions.includes('CIO_STATE_DIR'));
    assertHas(environmentOf('man8/cio-credentiald.8'), [...daemon, ...ofOptions]);
  });

  it('list every unit', () => {
    const units = fs.globSync('*.{service,socket}', { cwd: path.join(ROOT, 'systemd') });
    assert.ok(units.length > 4);
    assertHas(textOf('man8/cio-credentiald.8'), units);
  });

  it('list every option of the daemon', () => {
    const text = textOf('man8/cio-credentiald.8');
    assertHas(
      text,
      Object.keys(DAEMON_OPTIONS).map((option) => `--${option}`),
    );
  });

  it('list every method, type and error of the interface, with its fields and comments', () => {
    const text = textOf('man7/io.cio.Credentials.7');
    const { doc, types, methods, errors } = parseInterface(INTERFACE_DESCRIPTION);
    const prose = (comment: string): string[] => comment.replaceAll('`', '').split('\n').filter(Boolean);
    assertHas(text, prose(doc));
    for (const [name, { doc, input, output }] of methods) {
      assertHas(text, [`method ${name}(`, ...prose(doc)]);
      assertHas(
        text,
        [...input.fields, ...output.fields].map((field) => `${field.name}: `),
      );
    }
    for (const [name, { doc, type }] of types) {
      assertHas(text, [`type ${name} (`, ...prose(doc)]);
      assertHas(text, type.kind === 'enum' ? type.values : type.fields.map((field) => `${field.name}: `));
    }
    for (const [name, { doc, fields }] of errors) {
      assertHas(text, [` ${name} `, ...prose(doc), ...fields.fields.map((field) => `${field.name}: `)]);
    }
  });

  it('exist for every command of the package', () => {
    const { bin } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { readonly bin: object };
    for (const name of Object.keys(bin)) {
      const page = pages.get(`man1/${name}.1`) ?? pages.get(`man8/${name}.8`);
      assert.ok(page !== undefined, name);
      const target = /^\.so (\S+)\n$/.exec(page)?.[1];
      assert.ok(target === undefined || pages.get(target)?.startsWith('.TH '), name);
    }
  });
});

describe('renderProse()', () => {
  it('renders paragraphs, headings, items and examples', () => {
    const text =
      '# NAME\n\na - `b`\n\n## More\n- `-x`: one: two\n  three\n- y: z\n\n    $ .x\n\n      y\n\nend\n{{part}}\n';
    assert.equal(
      renderProse(text, { part: '.\\" here\n' }),
      '.SH "NAME"\na \\- \\fBb\\fR\n.SS "More"\n.TP\n\\fB\\-x\\fR\none: two three\n.TP\ny\nz\n' +
        '.PP\n.RS 4\n.EX\n$ .x\n\\&\n  y\n.EE\n.RE\n.PP\nend\n.\\" here\n',
    );
  });

  it('rejects a placeholder without a part, and a part without a placeholder', () => {
    assert.throws(() => renderProse('{{x}}', {}), /no part \{\{x\}\}/);
    assert.throws(() => renderProse('text', { y: '' }), /no place for \{\{y\}\}/);
  });
});
