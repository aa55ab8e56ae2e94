import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BootstrapError } from './error.mjs';
import { install, isInstalled } from './install.mjs';
import { withCheckoutLock } from './lock.mjs';
import { pinnedNode } from './pinned-node.mjs';
import { run } from './run.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * The command for each task, on the pinned Node. `build: false`: the task builds what it needs, or needs no build.
 * `signals: 'process'`: signals are sent to the process only, and not to the processes that it started.
 */
const TASKS = {
  start: (node, args) => ({
    command: path.join(ROOT, 'bin', 'cio-credentiald'),
    args: ['--user', ...args],
    stdin: 'ignore',
    signals: 'process',
  }),
  test: (node, args) => ({ command: node, args: [path.join(ROOT, 'tools', 'tasks', 'test.ts'), ...args] }),
  'test:host': (node, args) => ({ command: node, args: [path.join(ROOT, 'tools', 'tasks', 'test-host.ts'), ...args] }),
  check: (node, args) => ({
    command: node,
    args: [path.join(ROOT, 'tools', 'tasks', 'check.ts'), ...args],
    build: false,
  }),
  build: () => undefined,
  bench: (node, args) => ({ command: node, args: [path.join(ROOT, 'test', 'bench', 'main.ts'), ...args] }),
  torture: (node, args) => ({ command: node, args: [path.join(ROOT, 'test', 'torture', 'main.ts'), ...args] }),
  'package:deb': (node, args) => ({
    command: node,
    args: [path.join(ROOT, 'tools', 'tasks', 'package-deb.ts'), ...args],
  }),
  'install:host': (node, args) => ({
    command: node,
    args: [path.join(ROOT, 'tools', 'tasks', 'install-host.ts'), ...args],
  }),
  'uninstall:host': (node, args) => ({
    command: node,
    args: [path.join(ROOT, 'tools', 'tasks', 'uninstall-host.ts'), ...args],
    build: false,
  }),
};

/** Runs one task. This process then ends as the task did, with the same exit code or by the same signal. */
export async function main([name = '', ...args]) {
  if (!Object.hasOwn(TASKS, name)) {
    say(`usage: node tools/bootstrap.mjs ${Object.keys(TASKS).join('|')} [ARGUMENT…]`);
    process.exitCode = 2;
    return;
  }
  try {
    const task = await withCheckoutLock(ROOT, say, async (lockFd) => {
      if (!isInstalled(ROOT)) await install(ROOT, say, lockFd);
      const node = pinnedNode(ROOT);
      const command = TASKS[name](node, args);
      if (command?.build !== false) await build(node, lockFd);
      return command;
    });
    if (task !== undefined) endLike(await run(task.command, task.args, task));
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

async function build(node, lockFd) {
  const end = await run(node, [path.join(ROOT, 'tools', 'tasks', 'build.ts')], { cwd: ROOT, lockFd });
  if (end.code !== 0) throw new BootstrapError('The build failed (see above); nothing else was done.');
}

function endLike({ code, signal }) {
  if (signal === null) process.exitCode = code;
  else process.kill(process.pid, signal);
}

/** Writes a message of the bootstrap to standard error; standard output is left to the task. */
function say(text) {
  process.stderr.write(`${text}\n`);
}
