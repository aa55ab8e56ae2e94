import { STORE_FILE } from '../../daemon/vault/open-vault.ts';
import { deleteRow, editFile, PAGE_BYTES, putRow, rowsOf } from '../../daemon/vault/raw-file.ts';
import { lookAtFlips } from '../damage/flips.ts';
import type { Flip } from '../damage/flips.ts';
import { forgeWal, framesOf, WAL_FILE } from '../damage/wal.ts';
import { tamperKeysAndRights } from '../damage/keys-and-rights.ts';
import { otherDays } from '../damage/other-days.ts';
import { isWhole, Sample } from '../damage/sample.ts';
import type { Files, Look } from '../damage/sample.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { isDeepStrictEqual } from 'node:util';
import { Breaches } from '../scenario.ts';
import type { Outcome, Scenario, Torture } from '../scenario.ts';

const SECTOR_BYTES = 512;

/**
 * Changes the store's files behind the daemon's back, byte by byte and row by row. What is read must be right, or
 * refused by name.
 */
export const damage: Scenario = {
  id: 'damage',
  describe: 'bytes flipped, sectors zeroed, files cut and mixed, pages misplaced, rows deleted, swapped and replayed',
  async *run(torture) {
    const sample = await Sample.make(torture.scope);
    yield await flipBytes(torture, sample, 'the store', sample.files, STORE_FILE);
    yield await flipBytes(torture, sample, 'its WAL', await sample.filesWithWal(), WAL_FILE);
    yield await zeroSectors(torture, sample);
    yield await cut(torture, sample);
    yield await misplacePages(torture, sample);
    yield await misplaceFrames(torture, sample);
    yield await tamperRows(torture, sample);
    yield await tamperKeysAndRights(torture);
    yield await otherDays(torture);
  },
};

/** Adds up the looks at damaged stores, and checks each. */
class Tally {
  readonly breaches: Breaches = new Breaches();
  readonly #whole: Look;
  #looks = 0;
  #changes = 0;
  #closed = 0;
  #right = 0;
  #refused = 0;
  #older = 0;
  #noticed = 0;

  /** @param whole the look before any damage */
  constructor(whole: Look) {
    this.#whole = whole;
    if (!isWhole(whole))
      this.breaches.add(`before it is damaged, the store is not whole: ${whole.closedBecause ?? ''}`);
  }

  add(place: string, look: Look): void {
    this.#count(place, look);
    if (look.older > 0 && !look.isEarlier) this.breaches.add(`${place}: ${look.older} values are as they were before`);
  }

  /** The same for forged data: a reader may be given an earlier value, but fsck must find that. */
  addForged(place: string, look: Look): void {
    this.#count(place, look);
  }

  /** The same for rows: fsck must find every change, even one that no reader notices. */
  addNoticed(place: string, look: Look): void {
    this.addForged(place, look);
    if (!look.isNoticed) this.breaches.add(`${place}: fsck does not find it`);
  }

  #count(place: string, look: Look): void {
    const { closedBecause, right, refused, older, isNoticed, wrong, defects } = look;
    this.#looks += 1;
    if (!isDeepStrictEqual(look, this.#whole)) this.#changes += 1;
    if (closedBecause !== undefined) this.#closed += 1;
    if (isNoticed) this.#noticed += 1;
    this.#right += right;
    this.#refused += refused;
    this.#older += older;
    for (const sentence of [...wrong, ...defects]) this.breaches.add(`${place}: ${sentence}`);
  }

  outcome(what: string, unit: string): Outcome {
    const all = this.#right + this.#refused + this.#older;
    const share = all === 0 ? 0 : (100 * this.#right) / all;
    if (this.#changes === 0) this.breaches.add('nothing that is done changes what is seen: none of it is read');
    const older = this.#older === 0 ? '' : `${this.#older} as they were before, `;
    return {
      what,
      count: this.#looks,
      unit,
      detail:
        `${share.toFixed(1)} % of the values read right, ${older}the rest refused; fsck finds ${this.#noticed}; ` +
        `${this.#closed} stores did not open`,
      broken: this.breaches.sentences,
    };
  }
}

async function flipBytes(
  { random, choose, progress }: Torture,
  sample: Sample,
  what: string,
  files: Files,
  name: string,
): Promise<Outcome> {
  const { length } = bytesOf(files, name);
  const count = Math.min(length, choose(length, 600));
  const flips = Array.from({ length: count }, (_, index): Flip => {
    const offset = count === length ? index : random.below(length);
    return { offset, bit: random.below(8) };
  });
  const tally = new Tally(await sample.look(files));
  let done = 0;
  await lookAtFlips(sample, files, name, flips, ({ flip, look }) => {
    tally.add(`bit ${flip.bit} of byte ${flip.offset} of ${what}`, look);
    done += 1;
    progress(done, count);
  });
  return tally.outcome(`a flipped bit in ${what} gives the right value or a named error`, 'bytes');
}

async function zeroSectors({ progress }: Torture, sample: Sample): Promise<Outcome> {
  const bytes = bytesOf(sample.files, STORE_FILE);
  const sectors = bytes.length / SECTOR_BYTES;
  const tally = new Tally(await sample.look({}));
  for (let sector = 0; sector < sectors; sector += 1) {
    const zeroed = Buffer.from(bytes).fill(0, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
    tally.add(`sector ${sector}`, await sample.look({ [STORE_FILE]: zeroed }));
    progress(sector + 1, sectors);
  }
  return tally.outcome('… so does a sector of zeros', 'sectors');
}

async function cut({ progress }: Torture, sample: Sample): Promise<Outcome> {
  const bytes = bytesOf(sample.files, STORE_FILE);
  const tally = new Tally(await sample.look({}));
  const pages = bytes.length / PAGE_BYTES;
  for (let page = 0; page < pages; page += 1) {
    for (const more of [0, 1, PAGE_BYTES - 1]) {
      const length = page * PAGE_BYTES + more;
      // An empty file would become a new store.
      if (length > 0) tally.add(`cut at ${length}`, await sample.look({ [STORE_FILE]: bytes.subarray(0, length) }));
    }
    progress(page + 1, pages);
  }
  return tally.outcome('… so does a truncated file', 'lengths');
}

/** Copies a page over another, like a disk that writes a page to the wrong place. Each page on its own is valid. */
async function misplacePages({ random, choose, progress }: Torture, sample: Sample): Promise<Outcome> {
  const bytes = bytesOf(sample.files, STORE_FILE);
  const tally = new Tally(await sample.look({}));
  const pages = bytes.length / PAGE_BYTES;
  for (let page = 0; page < pages; page += 1) {
    // Always includes the root of the table, a copy of which leads a reader in circles.
    const sources = [...Array(pages).keys()].filter((source) => source === 1 || random.below(pages) < choose(pages, 2));
    for (const source of sources.filter((other) => other !== page)) {
      const misplaced = Buffer.from(bytes);
      bytes.copy(misplaced, page * PAGE_BYTES, source * PAGE_BYTES, (source + 1) * PAGE_BYTES);
      tally.add(`page ${source + 1} over page ${page + 1}`, await sample.look({ [STORE_FILE]: misplaced }));
    }
    progress(page + 1, pages);
  }
  return tally.outcome('… so does a page written over another', 'pages');
}

/**
 * The same in the WAL, with valid checksums.
 *
 * @param forge makes the WAL: with wrong checksums, SQLite would ignore the frames, and nothing would be tested
 */
export async function misplaceFrames(
  { choose, progress }: Pick<Torture, 'choose' | 'progress'>,
  sample: Sample,
  forge: typeof forgeWal = forgeWal,
): Promise<Outcome> {
  const files = await sample.filesWithWal();
  const wal = bytesOf(files, WAL_FILE);
  const frames = framesOf(wal);
  const tally = new Tally(await sample.look(files));
  const copy = forge(wal, frames);
  if (!copy.equals(wal.subarray(0, copy.length))) tally.breaches.add('a WAL made anew is not as SQLite made it');
  const look = async (place: string, forged: typeof frames): Promise<void> => {
    tally.addForged(place, await sample.look({ ...files, [WAL_FILE]: forge(wal, forged) }));
  };
  for (const [index, frame] of frames.entries()) {
    const others = new Set(frames.map(({ page }) => page).filter((page) => page !== frame.page));
    for (const page of [...others].slice(0, choose(others.size, 2))) {
      await look(`frame ${index} for page ${page}`, frames.with(index, { ...frame, page }));
    }
    if (frame.pagesAfter === 0) await look(`frame ${index} left out`, frames.toSpliced(index, 1));
    await look(`frame ${index} once more`, [...frames, { ...frame, pagesAfter: frames.at(-1)?.pagesAfter ?? 0 }]);
    progress(index + 1, frames.length);
  }
  return tally.outcome('… so do WAL frames that are misplaced, left out or repeated', 'pages');
}

/** Deletes rows, gives them the body of another, puts back older ones, and takes rows from another store. */
async function tamperRows({ scope, progress }: Torture, sample: Sample): Promise<Outcome> {
  const all = rowsOf(`${sample.directory}/${STORE_FILE}`);
  const foreign = rowsOf(`${(await Sample.make(scope)).directory}/${STORE_FILE}`);
  const tally = new Tally(await sample.look({}));
  const isOfCredentials = ({ kind }: { readonly kind: number }): boolean => kind >= KIND.principal;
  const rows = all.filter(isOfCredentials);
  for (const [index, row] of rows.entries()) {
    const place = `row ${index} of kind ${row.kind}`;
    const others = rows.filter(({ kind, tag }) => kind === row.kind && !tag.equals(row.tag));
    const tampered = (what: string, edit: Parameters<typeof editFile>[1]): Promise<void> =>
      sample.look({}, (file) => void editFile(file, edit)).then((look) => tally.addNoticed(`${place} ${what}`, look));
    await tampered('deleted', (database) => deleteRow(database, row));
    const before = sample.past.older.find(({ kind, tag }) => kind === row.kind && tag.equals(row.tag));
    if (before?.body.equals(row.body) === false) {
      await tampered('put back from an older copy', (database) => putRow(database, before));
    }
    for (const other of others.slice(0, 3)) {
      await tampered('with the body of another', (database) => putRow(database, { ...row, body: other.body }));
      await tampered('under the tag of another', (database) => putRow(database, { ...other, body: row.body }));
    }
    for (const other of foreign.filter(({ kind }) => kind === row.kind).slice(0, 3)) {
      await tampered('with a body from another store', (database) => putRow(database, { ...row, body: other.body }));
      await tampered('besides one from another store', (database) => putRow(database, other));
    }
    progress(index + 1, rows.length);
  }
  // Now all rows are consistent, except with the head, which tells how many rows there are and which.
  for (const [what, past] of [
    ['an older copy', sample.past.older],
    ['one that has as many', sample.past.beforeLast],
  ] as const) {
    const older = await sample.look({}, (file) =>
      editFile(file, (database) => {
        for (const row of all) if (row.kind !== KIND.head) deleteRow(database, row);
        for (const row of past) if (row.kind !== KIND.head) putRow(database, row);
      }),
    );
    tally.addNoticed(`every row but the head put back from ${what}`, older);
  }
  if (sample.past.beforeLast.length !== all.length) tally.breaches.add('the last change made or removed rows');
  return tally.outcome(
    '… so do rows deleted, swapped, put back, or taken from another store; and fsck finds each',
    'changes',
  );
}

/** @throws Error if there is none, as nothing would be damaged */
function bytesOf(files: Files, name: string): Buffer {
  const bytes = files[name];
  if (bytes === undefined) throw new Error(`the sample has no ${name}`);
  return bytes;
}
