import { readSync } from 'node:fs';

/** Lengths and offsets in a WAL (https://sqlite.org/fileformat2.html#walformat). */
const HEADER_BYTES = 32;
const HEADER_SUMMED_BYTES = 24;
const FRAME_HEADER_BYTES = 24;
const FRAME_SUMMED_BYTES = 8;
const MAGIC_LITTLE_ENDIAN = 0x37_7f_06_82;
const MAGIC_BIG_ENDIAN = 0x37_7f_06_83;
const PAGE_BYTES_OFFSET = 8;
const SALT_OFFSET = 16;
const SALT_BYTES = 8;
const FRAME_SUMS_OFFSET: number = FRAME_SUMMED_BYTES + SALT_BYTES;

/** A reset of a WAL adds one to the first half of the salt, and makes a random second half. */
const SALT_HALF_BYTES = 4;

/** More resets than lie between the frames that are in one WAL. */
const RESETS_MAX = 0x1_0000;

/** The most that a disk is relied on to write whole or not at all. */
const SECTOR_BYTES = 512;

/** The state of a database after the commits in its WAL. */
export interface WalPages {
  /** Size of the database after the last commit, in pages. */
  readonly pageCount: number;
  /** False if the disk failed to return a part of the WAL. */
  readonly isReadable: boolean;
  /** See {@link isWalDamaged}. */
  readonly isDamaged: boolean;
  /** Offset in the WAL of the latest committed content of a page, by page number. */
  readonly offsets: ReadonlyMap<number, number>;
}

/** Where to begin with the frames of a WAL. */
interface Start {
  /** The checksum of the header's content, with which that of the first frame continues. */
  readonly computed: Sums;
  /** The checksum that is stored in the header, if it differs. */
  readonly stored: Sums | undefined;
  readonly isBigEndian: boolean;
  readonly salt: Buffer;
}

/** A frame as found in a WAL. */
interface Frame {
  readonly page: number;
  /** Offset in the WAL of the page's content. */
  readonly offset: number;
  /** Size of the database after the commit that ends with this frame, in pages; 0 if none does. */
  readonly pagesAfter: number;
  /** The frame has the salt of the WAL. */
  readonly isOfThisWal: boolean;
  /** The frame was written before the WAL was last reset: nothing has overwritten it since. */
  readonly isStale: boolean;
  /** The frame also continues the checksums of the one before it, which may itself be damaged. */
  readonly isLinked: boolean;
  /** This frame shows that one before it is damaged, and was whole once: see {@link isWalDamaged}. */
  readonly isProof: boolean;
}

/**
 * Reads a WAL as SQLite's recovery after a crash does: all complete commits before the first frame with a wrong
 * checksum or salt. Of a damaged WAL ({@link isWalDamaged}), also reads the commits after that frame, and takes the
 * damaged page itself if its frame header leads to the next frame.
 *
 * @param file a descriptor, which stays the caller's
 * @returns undefined if the WAL has no complete commit
 */
export function readWal(file: number, pageBytes: number): WalPages | undefined {
  let isReadable = true;
  const onUnreadable = (): void => {
    isReadable = false;
  };
  for (const start of startsOf(file, pageBytes, onUnreadable)) {
    const intact = new Commits();
    const rest = new Commits();
    let isDamaged = false;
    let before: Frame | undefined;
    let commits = start.stored === undefined ? intact : rest;
    for (const frame of framesOf(file, pageBytes, start, onUnreadable)) {
      if (!frame.isLinked && commits === intact) {
        commits = rest;
        rest.continue(intact);
      }
      if (frame.isLinked) {
        if (before?.isLinked === false) commits.add(before);
        commits.add(frame);
      }
      isDamaged ||= frame.isProof;
      before = frame;
    }
    const pageCount = (isDamaged ? rest.pageCount : undefined) ?? intact.pageCount;
    if (pageCount === undefined) continue;
    const offsets = isDamaged ? new Map([...intact.offsets, ...rest.offsets]) : intact.offsets;
    return { pageCount, offsets, isDamaged, isReadable };
  }
  return undefined;
}

/**
 * Tells whether a WAL is damaged before changes that SQLite reported as committed. SQLite's recovery does not: it takes
 * the first frame with a wrong checksum or salt for the place where a crash interrupted the last commit, and drops
 * that frame and all after it.
 *
 * A commit is synced before the next one is begun (`synchronous = FULL`), and a WAL that was left behind is synced
 * before it is used (`StoreDisk`). So after a crash, no frame can continue the checksums of a commit that the disk does
 * not have: the frame after a commit does that only if this commit was synced, and all frames before it. Frames of
 * failed commits, which the next commit overwrites, may still follow, and so may those of a commit whose first frames
 * are missing, as a disk writes them in any order; but after the commit that ends either of them, no frame continues.
 * The header is synced before the first frame is written.
 *
 * If the first frame that does not continue is from before the last reset, no commit was synced in its place, nor after
 * it. What the disk fails to return behind such a frame is not needed, as little as SQLite's recovery reads it.
 *
 * @param file a descriptor, which stays the caller's
 * @throws the system's error if the WAL cannot be read
 */
export function isWalDamaged(file: number, pageBytes: number): boolean {
  let isNeeded = true;
  const onUnreadable = (error: unknown): void => {
    if (isNeeded) throw error;
  };
  for (const start of startsOf(file, pageBytes, onUnreadable)) {
    let areLinked = start.stored === undefined;
    for (const { isProof, isLinked, isStale } of framesOf(file, pageBytes, start, onUnreadable)) {
      if (isProof) return true;
      if (areLinked && !isLinked) isNeeded = !isStale;
      areLinked &&= isLinked;
    }
    isNeeded = true;
  }
  return false;
}

/** Called with the error of a read. */
type OnUnreadable = (error: unknown) => void;

/**
 * Yields where the frames of a WAL begin: once, or, if its header is damaged, once for each byte order and salt that
 * it may have had.
 */
function* startsOf(file: number, pageBytes: number, onUnreadable: OnUnreadable): Generator<Start> {
  const header = Buffer.alloc(HEADER_BYTES);
  const reading = readWhole(file, header, 0, onUnreadable);
  if (reading === 'end') return;
  const magic = header.readUInt32BE(0);
  const isBigEndian = magic === MAGIC_BIG_ENDIAN;
  const stored = Sums.in(header, HEADER_SUMMED_BYTES);
  const sumsOf = (isBig: boolean): Sums => Sums.NONE.after(header, 0, HEADER_SUMMED_BYTES, isBig);
  if ((isBigEndian || magic === MAGIC_LITTLE_ENDIAN) && sumsOf(isBigEndian).equals(stored)) {
    // SQLite uses another page size that a valid header has, but this program never wrote such a WAL.
    if (header.readUInt32BE(PAGE_BYTES_OFFSET) !== pageBytes) return;
    const salt = header.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);
    yield { computed: stored, stored: undefined, isBigEndian, salt };
    return;
  }
  // The sector with a damaged header is also that of the first frame's header.
  let before: Buffer | undefined;
  for (const index of [0, 1]) {
    const salt = Buffer.alloc(SALT_BYTES);
    const at = HEADER_BYTES + index * (FRAME_HEADER_BYTES + pageBytes) + FRAME_SUMMED_BYTES;
    if (readWhole(file, salt, at, onUnreadable) !== 'whole' || before?.equals(salt) === true) continue;
    before = salt;
    for (const isBig of [false, true]) yield { computed: sumsOf(isBig), stored, isBigEndian: isBig, salt };
  }
}

/** Yields all whole frames of a WAL, whether or not they are valid. */
function* framesOf(file: number, pageBytes: number, start: Start, onUnreadable: OnUnreadable): Generator<Frame> {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
  const isHeaderDamaged = start.stored !== undefined;
  // The checksum up to here, by the content of the frame before and by the one that is stored in it, if that differs.
  let computed: Sums | undefined = start.computed;
  let stored = start.stored;
  let isBroken = isHeaderDamaged;
  let before: Frame | undefined;
  for (let at = HEADER_BYTES; ; at += bytes.length) {
    const reading = readWhole(file, bytes, at, onUnreadable);
    if (reading === 'end') return;
    const sumsAfter = (sums: Sums | undefined): Sums | undefined =>
      sums
        ?.after(bytes, 0, FRAME_SUMMED_BYTES, start.isBigEndian)
        .after(bytes, FRAME_HEADER_BYTES, bytes.length, start.isBigEndian);
    const salt = bytes.subarray(FRAME_SUMMED_BYTES, FRAME_SUMS_OFFSET);
    const isOfThisWal = reading === 'whole' && salt.equals(start.salt);
    const own = Sums.in(bytes, FRAME_SUMS_OFFSET);
    const continued: Sums | undefined = reading === 'whole' ? sumsAfter(computed) : undefined;
    const isByContent = isOfThisWal && continued?.equals(own) === true;
    const isLinked: boolean = isByContent || (isOfThisWal && sumsAfter(stored)?.equals(own) === true);
    isBroken ||= !isLinked;
    const isAfterCommit =
      before !== undefined &&
      before.pagesAfter > 0 &&
      // The header of a torn frame may be half that of an older one, unless it lies in one sector.
      (isByContent || (before.isOfThisWal && isInOneSector(before.offset - FRAME_HEADER_BYTES)));
    const pagesAfter = bytes.readUInt32BE(4);
    const isProof = isBroken && isLinked && (isAfterCommit || (isHeaderDamaged && pagesAfter > 0));
    // No checksum of a frame from before the WAL was reset leads anywhere: not computing any makes this fast.
    const isUseful = reading === 'whole' && (isOfThisWal || before === undefined || before.isLinked);
    computed = isUseful ? continued : undefined;
    stored = isUseful && !isLinked ? own : undefined;
    if (isLinked) computed = own;
    before = {
      page: bytes.readUInt32BE(0),
      offset: at + FRAME_HEADER_BYTES,
      pagesAfter,
      isOfThisWal,
      isStale: reading === 'whole' && isOlder(salt, start.salt),
      isLinked,
      isProof,
    };
    yield before;
  }
}

/** Tells whether a salt is one that a WAL had before it was reset to another. */
function isOlder(salt: Buffer, current: Buffer): boolean {
  const resets = (current.readUInt32BE() - salt.readUInt32BE()) >>> 0;
  const isSameHalf = salt.readUInt32BE(SALT_HALF_BYTES) === current.readUInt32BE(SALT_HALF_BYTES);
  return resets > 0 && resets < RESETS_MAX && !isSameHalf;
}

function isInOneSector(headerAt: number): boolean {
  return Math.floor(headerAt / SECTOR_BYTES) === Math.floor((headerAt + FRAME_HEADER_BYTES - 1) / SECTOR_BYTES);
}

/** The pages of successive commits. */
class Commits {
  readonly offsets: Map<number, number> = new Map();
  pageCount: number | undefined;
  #uncommitted: Map<number, number> = new Map();

  add({ page, offset, pagesAfter }: Frame): void {
    this.#uncommitted.set(page, offset);
    if (pagesAfter === 0) return;
    this.pageCount = pagesAfter;
    for (const [number, at] of this.#uncommitted) this.offsets.set(number, at);
    this.#uncommitted.clear();
  }

  /** Takes over the beginning of a commit. */
  continue(begun: Commits): void {
    this.#uncommitted = new Map(begun.#uncommitted);
  }
}

/** Fills `bytes`, and tells whether that succeeded, the file ended before, or the disk failed. */
function readWhole(
  file: number,
  bytes: Buffer,
  at: number,
  onUnreadable: OnUnreadable,
): 'whole' | 'end' | 'unreadable' {
  try {
    // Where only the end of what is to be read is unreadable, the first call returns what comes before.
    for (let done = 0; done < bytes.length;) {
      const count = readSync(file, bytes, done, bytes.length - done, at + done);
      if (count === 0) return 'end';
      done += count;
    }
    return 'whole';
  } catch (error) {
    onUnreadable(error);
    bytes.fill(0);
    return 'unreadable';
  }
}

/** SQLite's WAL checksum: two sums of 32-bit words, continued from frame to frame. */
class Sums {
  static readonly NONE: Sums = new Sums(0, 0);

  readonly #first: number;
  readonly #second: number;

  constructor(first: number, second: number) {
    this.#first = first;
    this.#second = second;
  }

  /** Reads the sums that are stored at an offset. */
  static in(bytes: Buffer, offset: number): Sums {
    return new Sums(bytes.readUInt32BE(offset), bytes.readUInt32BE(offset + 4));
  }

  /** Returns the sums after further bytes. */
  after(bytes: Buffer, start: number, end: number, isBigEndian: boolean): Sums {
    let [first, second] = [this.#first, this.#second];
    for (let at = start; at < end; at += 8) {
      const [one, two] = isBigEndian
        ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
        : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
      first = (first + one + second) >>> 0;
      second = (second + two + first) >>> 0;
    }
    return new Sums(first, second);
  }

  equals(other: Sums): boolean {
    return this.#first === other.#first && this.#second === other.#second;
  }
}
