import type { Provider } from './provider.ts';
import { s3Provider } from './s3-fields.ts';

export const MINIO: Provider = { id: 'minio', label: 'MinIO', ...s3Provider('Minio') };
