/** Longest subject of a finding. */
export const SUBJECT_LENGTH_MAX = 200;

/** Most findings of one validation. */
export const FINDINGS_MAX = 64;
