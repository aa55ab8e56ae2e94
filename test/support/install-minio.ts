/** Builds MinIO for the tests, once per release. Takes about nine minutes on one core. */
import fs from 'node:fs';
import path from 'node:path';
import { goInstall } from './go.ts';
import { MINIO_FOLDER, MINIO_MODULE } from './minio-server.ts';

if (!fs.existsSync(path.join(MINIO_FOLDER, 'minio'))) process.exitCode = goInstall(MINIO_MODULE, MINIO_FOLDER);
