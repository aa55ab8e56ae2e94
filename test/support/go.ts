import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { findCommand } from './requirements.ts';

/** The Go version that the test servers require. */
const GO_MIN = [1, 26] as const;

/** The Go toolchain as a module, which an older Go can download. */
const TOOLCHAIN = `golang.org/toolchain@v0.0.1-go1.26.0.linux-${process.arch === 'arm64' ? 'arm64' : 'amd64'}`;

/** The usual place of a manual installation, and Debian's. */
const PLACES = ['/usr/local/go/bin/go', findCommand('go')];

/** Builds a program of a Go module into a folder. Returns the exit code. */
export function goInstall(module: string, folder: string): number {
  const go = findGo();
  if (go === undefined) {
    process.stderr.write(`${module} is published as source: install Go (Debian: golang-go), and run this again\n`);
    return 1;
  }
  const env = { ...process.env, GOBIN: folder, GOROOT: path.dirname(path.dirname(go)), CGO_ENABLED: '0' };
  const { status } = spawnSync(go, ['install', '-trimpath', '-ldflags=-s -w', module], { env, stdio: 'inherit' });
  return status ?? 1;
}

/** Returns a Go that is new enough, downloaded by an older one if necessary; undefined if there is no Go at all. */
function findGo(): string | undefined {
  const found = PLACES.filter((file) => file !== undefined && fs.existsSync(file)) as string[];
  return found.find(isNewEnough) ?? (found[0] === undefined ? undefined : fetchGo(found[0]));
}

function isNewEnough(go: string): boolean {
  const version = spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8', cwd: '/' }).stdout;
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > GO_MIN[0] || (Number(major) === GO_MIN[0] && Number(minor) >= GO_MIN[1]);
}

function fetchGo(go: string): string | undefined {
  const options = { encoding: 'utf8', cwd: '/', env: { ...process.env, GOFLAGS: '-mod=mod' } } as const;
  const { status, stdout, stderr } = spawnSync(go, ['mod', 'download', '-json', TOOLCHAIN], options);
  if (status !== 0) {
    process.stderr.write(`${TOOLCHAIN} cannot be fetched: ${stderr}\n`);
    return undefined;
  }
  const { Dir: root } = JSON.parse(stdout) as { readonly Dir: string };
  // Files of a downloaded module are not executable.
  for (const folder of ['bin', path.join('pkg', 'tool')]) {
    for (const entry of fs.readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) fs.chmodSync(path.join(entry.parentPath, entry.name), 0o755);
    }
  }
  return path.join(root, 'bin', 'go');
}
