import type { Provider } from './provider.ts';
import { s3Provider } from './s3-fields.ts';

export const AWS: Provider = { id: 'aws', label: 'Amazon S3', ...s3Provider('AWS', { PROVIDER: 'Other' }) };
