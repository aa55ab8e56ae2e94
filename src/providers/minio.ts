import type { Provider } from './provider.ts';
import {
  deriveS3,
  S3_CONTRADICTING,
  S3_FIELDS,
  S3_IDENTITY,
  S3_RCLONE_DERIVED,
  S3_RCLONE_OPTIONS,
} from './s3-fields.ts';

export const MINIO: Provider = {
  id: 'minio',
  label: 'MinIO',
  fields: S3_FIELDS,
  rclone: { fixed: { TYPE: 's3', PROVIDER: 'Minio' }, fromFields: S3_RCLONE_OPTIONS, derived: S3_RCLONE_DERIVED },
  derive: (values) => deriveS3(values),
  contradicting: S3_CONTRADICTING,
  identity: S3_IDENTITY,
};
