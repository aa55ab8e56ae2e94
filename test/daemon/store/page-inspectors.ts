import fs from 'node:fs';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const NODE = process.execPath;

/** Lets a shell script take the place of the page inspector until the scope ends: it begins as that does, and ends so. */
export function inspectWith(scope: Scope, end: string): void {
  const program = path.join(temporaryDirectory(scope), 'program');
  fs.writeFileSync(program, `#!/bin/sh\necho looking\n${end}\n`, { mode: 0o755 });
  process.execPath = program;
  scope.after(() => void (process.execPath = NODE));
}
