/** Builds fake-gcs-server for the tests, once per release. Takes some minutes. */
import fs from 'node:fs';
import { FAKE_GCS_FOLDER, FAKE_GCS_MODULE, FAKE_GCS_PROGRAM } from './fake-gcs-server.ts';
import { goInstall } from './go.ts';

if (!fs.existsSync(FAKE_GCS_PROGRAM)) process.exitCode = goInstall(FAKE_GCS_MODULE, FAKE_GCS_FOLDER);
