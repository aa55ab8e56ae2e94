/** Builds MinIO for the tests, once per release. Takes about nine minutes on one core. */
import { goInstall } from './go.ts';
import { MINIO_FOLDER, MINIO_MODULE, MINIO_PROGRAM } from './minio-server.ts';
import { installServer } from './server-folder.ts';

process.exitCode = installServer(MINIO_FOLDER, MINIO_PROGRAM, (folder) => goInstall(MINIO_MODULE, folder));
