/**
 * Writes endlessly into the store of a directory, several writes at a time, and prints one line when it begins each
 * write and one when the write is acknowledged, synchronously on standard output. The tests kill this process.
 */
import fs from 'node:fs';
import { randomInt } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TestVault } from './open-vault.ts';

const STDOUT = 1;
const [directory = '', round = ''] = process.argv.slice(2);
const made = await TestVault.open({ after: () => undefined }, directory);
const say = (line: string): void => void fs.writeSync(STDOUT, `${line}\n`);

/** Prints a line before a write and a line after it. */
async function told(what: string, write: () => Promise<unknown>): Promise<void> {
  say(`begin ${what}`);
  const result = await write();
  say(`done ${what}${typeof result === 'string' ? ` ${result}` : ''}`);
}

/** Adds a recovery slot, and removes another one if there are many. */
async function changeSlots(label: string): Promise<void> {
  await told('slot', async () => {
    const { slot, recoveryCode } = await made.slots.add({ kind: 'recovery', label });
    return `${slot.id} ${recoveryCode}`;
  });
  const others = made.vault.slots().filter((slot) => slot.kind === 'recovery' && slot.label !== label);
  const [old] = others;
  if (others.length > 4 && old !== undefined) await told(`unslot ${old.id}`, () => made.slots.remove(old.id));
}

say('ready');
for (let turn = 0; ; turn += 1) {
  const name = `r${round}-${turn}`;
  const size = [10, 500, 5000, 60_000][turn % 4] ?? 1;
  const writes = [
    told(`save ${name} 1`, () => made.save(name, `${name} 1 `.padEnd(size, '.'))),
    told(`save ${name}-u 1`, () => made.save(`${name}-u`, `${name}-u 1 `.padEnd(size, '.'), 'uid:5')),
    told('save counter', async () => `${await made.save('counter', `${name} counter`)}`),
  ];
  if (turn % 2 === 1) writes.push(told(`remove r${round}-${turn - 1}`, () => made.remove(`r${round}-${turn - 1}`)));
  if (turn % 3 === 2)
    writes.push(
      told(`save r${round}-${turn - 2}-u 2`, () =>
        made.save(`r${round}-${turn - 2}-u`, `r${round}-${turn - 2}-u 2 `.padEnd(size, '.'), 'uid:5'),
      ),
    );
  if (turn % 5 === 4) writes.push(told('rekey', async () => `${(await made.rekey()).keyEpoch}`));
  if (turn % 4 === 1) writes.push(changeSlots(name));
  await Promise.all(writes);
  if (randomInt(4) === 0) await nextTurn();
}
