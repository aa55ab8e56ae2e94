/** The forms that `get --output` prints. A file of its own, without code, for completion and help. */
export const FORMS = [
  'yaml',
  'json',
  'env',
  'dotenv',
  'restic',
  'rclone',
  'kopia',
  'aws',
  'velero',
  'systemd-creds',
] as const;

/** One of {@link FORMS}. */
export type Form = (typeof FORMS)[number];
