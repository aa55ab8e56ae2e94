/** The forms that `get --output` prints: data alone, for what completes and explains them. */
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
