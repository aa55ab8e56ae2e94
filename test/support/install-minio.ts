/** Builds MinIO for the tests with the Go of this host, once for each release: about nine minutes of one core. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { findCommand } from './requirements.ts';
import { MINIO_FOLDER, MINIO_MODULE } from './minio-server.ts';

const go = [findCommand('go'), '/usr/local/go/bin/go'].find((file) => file !== undefined && fs.existsSync(file));
const program = path.join(MINIO_FOLDER, 'minio');
if (!fs.existsSync(program)) process.exitCode = go === undefined ? complain() : build(go);

function build(go: string): number {
  fs.mkdirSync(MINIO_FOLDER, { recursive: true });
  const env = { ...process.env, GOBIN: MINIO_FOLDER, CGO_ENABLED: '0' };
  const { status } = spawnSync(go, ['install', '-trimpath', '-ldflags=-s -w', MINIO_MODULE], { env, stdio: 'inherit' });
  return status ?? 1;
}

function complain(): number {
  process.stderr.write('MinIO is published as source: install Go 1.24 or newer, and run this again\n');
  return 1;
}
