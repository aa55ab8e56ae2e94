import { stat } from 'node:fs/promises';

/**
 * Has Node start the threads in which it derives keys and looks at files: it starts them with the first such work, and
 * where the system gives it none then (TasksMax=, RLIMIT_NPROC), it ends the process. A daemon that is open has them.
 */
export async function startThreads(): Promise<void> {
  await stat('/');
}
