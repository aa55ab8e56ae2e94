/** Builds fake-gcs-server for the tests, once per release. Takes some minutes. */
import { FAKE_GCS_FOLDER, FAKE_GCS_MODULE, FAKE_GCS_PROGRAM } from './fake-gcs-server.ts';
import { goInstall } from './go.ts';
import { installServer } from './server-folder.ts';

process.exitCode = installServer(FAKE_GCS_FOLDER, FAKE_GCS_PROGRAM, (folder) => goInstall(FAKE_GCS_MODULE, folder));
