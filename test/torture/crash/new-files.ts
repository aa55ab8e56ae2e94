import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { decryptAge } from '../../../client/cio/age/age.ts';
import { parseExport } from '../../../src/export-format.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { cio, CIO_LAUNCHER } from '../../support/cio.ts';
import { eventually } from '../../support/eventually.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { DaemonRun, killedBefore } from './daemon-run.ts';
import type { FileCall } from './daemon-run.ts';

const KEY_FILE = 'root.key';
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;
/** Several pieces of a copy. */
const VALUE_BYTES = 100_000;

/** The system calls with which the commands make a file; a short run takes every n-th of each. */
const CALLS: readonly (readonly [FileCall, number])[] = [
  ['write', 20],
  ['fsync', 1],
  ['link', 1],
  ['unlink', 1],
];
/** Far more than a command makes of each. */
const STEPS_MAX = 500;

/** A command that makes a file, and a check that the file is whole. */
interface Command {
  readonly words: (file: string) => readonly string[];
  readonly isWhole: (file: string) => Promise<boolean>;
}

/**
 * Kills `backup` and `export` at every step, and the daemon during them. The file must be there whole or not at all.
 */
export async function newFiles({ scope, choose, progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const directory = temporaryDirectory(scope, 'cio-crash');
  const places = { state: path.join(directory, 'state'), run: path.join(directory, 'run') };
  const commands = await commandsFor(places.state);
  let [kills, absent, whole] = [0, 0, 0];
  const look = async ({ isWhole }: Command, file: string, code: number | null, place: string): Promise<void> => {
    if (existsSync(file)) {
      whole += 1;
      if (!(await isWhole(file).catch(() => false))) breaches.add(`${place}: what is there is not whole`);
      rmSync(file);
    } else {
      absent += 1;
      if (code === 0) breaches.add(`${place}: it says that it is done, and there is no file`);
    }
  };
  for (const [index, command] of commands.entries()) {
    const folder = temporaryDirectory(scope, 'cio-crash');
    const file = path.join(folder, 'file');
    const words = command.words(file);
    await using life = new BenchScope();
    const daemon = new DaemonRun(life, places);
    await using client = await daemon.ready();
    if (client === undefined) throw new Error(`the daemon does not start: ${daemon.account}`);
    const credentials = NAMES.map((name) => ({ name, value: valueOf(name) }));
    await client.call('Create', { credentials, replace: true });
    const options = { socketPath: daemon.socketPath };
    for (const [call, stride] of CALLS) {
      const before = kills;
      for (let count = 1; ; count += choose(1, stride)) {
        const place = `${words[1]} killed before ${call} ${count}`;
        const { code, stderr } = await cio(words, {
          ...options,
          command: [...killedBefore({ call, count }), ...CIO_LAUNCHER],
        });
        await look(command, file, code, place);
        if (code === 0) break;
        kills += 1;
        if (code !== null || count > STEPS_MAX) breaches.add(`to be ${place}: it ends with ${code}: ${stderr}`);
        if (breaches.sentences.length > 0) break;
      }
      if (kills === before) breaches.add(`${words[1]}: nothing was killed before a ${call}`);
    }
    const copies = path.join(places.state, 'copies');
    await eventually(() => !existsSync(copies) || readdirSync(copies).length === 0);
    for (const left of readdirSync(folder)) rmSync(path.join(folder, left));
    const running = cio(words, { ...options, command: CIO_LAUNCHER });
    await eventually(() => readdirSync(folder).length > 0);
    await daemon.kill();
    const { code } = await running;
    kills += 1;
    await look(command, file, code, `the daemon killed under ${words[1]}`);
    const left = readdirSync(folder);
    if (left.length > 0) breaches.add(`the daemon killed under ${words[1]}: it leaves ${left.join(', ')}`);
    progress(index + 1, commands.length);
  }
  if (absent === 0 || whole < commands.length) breaches.add(`${absent} times there was no file, ${whole} times one`);
  return {
    what: 'a file of `backup` or `export` is whole or absent after a kill at any step, also of the daemon',
    count: kills,
    unit: 'kills',
    detail: `${absent} times there was none, ${whole} times it was whole`,
    broken: breaches.sentences,
  };
}

async function commandsFor(state: string): Promise<Command[]> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  return [
    {
      words: (file) => ['credential', 'backup', file],
      async isWhole(file) {
        await using scope = new BenchScope();
        const directory = memoryDirectory(scope);
        copyFileSync(file, path.join(directory, STORE_FILE));
        copyFileSync(path.join(state, KEY_FILE), path.join(directory, KEY_FILE));
        const opened = await TestVault.open(scope, directory);
        const { problems } = await opened.fsck();
        return problems.length === 0 && NAMES.every((name) => opened.value(name) === valueOf(name));
      },
    },
    {
      words: (file) => ['credential', 'export', '--to', file, '--recipient', recipient],
      async isWhole(file) {
        const text = await decryptAge(readFileSync(file), { identities: [identity] });
        const { credentials } = parseExport(Buffer.from(text).toString());
        const values = new Map(credentials.map((one) => [one.name, 'value' in one ? one.value : '']));
        return NAMES.every((name) => values.get(name) === valueOf(name));
      },
    },
  ];
}

function valueOf(name: string): string {
  return `${name} `.padEnd(VALUE_BYTES, 'x');
}
