import type { Provider } from './provider.ts';
import { s3Provider } from './s3-fields.ts';

export const S3: Provider = { id: 's3', label: 'Another S3 server', ...s3Provider('Other') };
