/** Builds fake-gcs-server for the tests with the Go of this host, once for each release: about five minutes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { FAKE_GCS_FOLDER, FAKE_GCS_MODULE, FAKE_GCS_PROGRAM } from './fake-gcs-server.ts';
import { findCommand } from './requirements.ts';

const go = [findCommand('go'), '/usr/local/go/bin/go'].find((file) => file !== undefined && fs.existsSync(file));
if (!fs.existsSync(FAKE_GCS_PROGRAM)) process.exitCode = go === undefined ? complain() : build(go);

function build(go: string): number {
  fs.mkdirSync(FAKE_GCS_FOLDER, { recursive: true });
  const env = { ...process.env, GOBIN: FAKE_GCS_FOLDER, CGO_ENABLED: '0' };
  const command = ['install', '-trimpath', '-ldflags=-s -w', FAKE_GCS_MODULE];
  return spawnSync(go, command, { env, stdio: 'inherit' }).status ?? 1;
}

function complain(): number {
  process.stderr.write(
    'fake-gcs-server is published as source: install Go 1.26, or 1.21 or newer, which fetches that, and run this again\n',
  );
  return 1;
}
