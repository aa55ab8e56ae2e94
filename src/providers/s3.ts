import type { Provider } from './provider.ts';
import { S3_CONTRADICTING, S3_FIELDS, S3_RCLONE_OPTIONS } from './s3-fields.ts';

export const S3: Provider = {
  id: 's3',
  label: 'Another S3 server',
  fields: S3_FIELDS,
  rclone: {
    fixed: { TYPE: 's3', PROVIDER: 'Other' },
    fromFields: S3_RCLONE_OPTIONS,
    endpoint: 'ENDPOINT',
    // restic, too, puts the bucket into the path wherever the server is not Amazon's.
    fixedWithEndpoint: { FORCE_PATH_STYLE: 'true' },
  },
  endpointVariable: 'AWS_ENDPOINT_URL_S3',
  contradicting: S3_CONTRADICTING,
};
