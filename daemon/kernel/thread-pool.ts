import { stat } from 'node:fs/promises';

/**
 * Makes Node start its thread pool, which derives keys and accesses files. Node starts the threads with the first such
 * task, and ends the process if the system refuses them (TasksMax=, RLIMIT_NPROC). That must not happen to a daemon
 * that already serves.
 */
export async function startThreadPool(): Promise<void> {
  await stat('/');
}
