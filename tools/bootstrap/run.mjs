import { spawn } from 'node:child_process';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A Ctrl-C arrives twice: from the terminal, and from npm, which forwards it a moment later. */
const SAME_SIGNAL_MS = 500;

/**
 * Runs a command, waits for its end, and forwards each signal to it exactly once. The command is detached with
 * setsid(2), so that the terminal does not send it the same signals as well.
 *
 * @param options.cwd, options.env as for `spawn`
 * @param options.stdin `ignore`; inherited by default
 * @param options.output `collect` to return the text of both outputs in the result; inherited by default
 * @param options.signals `process` to signal the command alone; by default, its child processes get signals too
 * @param options.lockFd see `withCheckoutLock`
 */
export async function run(command, args, options = {}) {
  const collects = options.output === 'collect';
  const output = collects ? 'pipe' : 'inherit';
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: [options.stdin ?? 'inherit', output, output, ...(options.lockFd === undefined ? [] : [options.lockFd])],
  });

  const lastMs = new Map();
  const forward = (signal) => {
    const nowMs = performance.now();
    if (nowMs - (lastMs.get(signal) ?? -Infinity) < SAME_SIGNAL_MS) return;
    lastMs.set(signal, nowMs);
    const { pid } = child;
    if (pid === undefined) return;
    try {
      process.kill(options.signals === 'process' ? pid : -pid, signal);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  };
  for (const signal of FORWARDED) process.on(signal, forward);

  try {
    return await new Promise((resolve, reject) => {
      const chunks = [];
      child.stdout?.on('data', (chunk) => chunks.push(chunk));
      child.stderr?.on('data', (chunk) => chunks.push(chunk));
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal, output: Buffer.concat(chunks).toString() }));
    });
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
