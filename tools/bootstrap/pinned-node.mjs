import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BootstrapError } from './error.mjs';

const NODE_MAJOR = 24;

/** The package that contains the pinned Node for this machine. */
export const NODE_PACKAGE = `node_modules/node-linux-${process.arch}`;

/** Returns the path of the pinned Node, or, on a machine that has none, of the running Node if it is recent enough. */
export function pinnedNode(root) {
  const pinned = path.join(root, NODE_PACKAGE, 'bin', 'node');
  if (spawnSync(pinned, ['--version']).status === 0) {
    linkCommand(root, pinned);
    return pinned;
  }
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath;
  throw new BootstrapError(
    `There is no pinned Node for this machine (${process.platform} ${process.arch}), or it does not run here.\n` +
      `  Install Node ${NODE_MAJOR} or later and run this again with it.`,
  );
}

/** Makes `node_modules/.bin/node`, which npm makes itself only since version 11. It is for people: no task needs it. */
function linkCommand(root, pinned) {
  const folder = path.join(root, 'node_modules', '.bin');
  try {
    fs.mkdirSync(folder, { recursive: true });
    fs.symlinkSync(path.relative(folder, pinned), path.join(folder, 'node'));
  } catch {
    // It is there already, or the checkout is not writable.
  }
}
