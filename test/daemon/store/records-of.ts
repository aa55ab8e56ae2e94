import { PageFile } from '../../../daemon/store/page-file.ts';
import { scatteredRecords } from '../../../daemon/store/scattered-records.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';

/** Returns the records that can be found in a file, as sorted texts. */
export function recordsOf(file: string, textOf: (record: SealedRecord) => string): string[] {
  const pages = PageFile.open(file);
  try {
    return Array.from(scatteredRecords(pages), textOf).toSorted();
  } finally {
    pages.close();
  }
}
