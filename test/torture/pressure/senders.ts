import net from 'node:net';
import { withIdentity } from '../../support/identity.ts';
import { Random } from '../random.ts';
import { callOf } from './presses.ts';
import type { Report, Sending } from './sent-beforehand.ts';

/**
 * A process of one user's many connections. Each sends all of its calls at once, and once more when the last one is answered,
 * as long as the daemon lives. Asked for anything, it tells what came of them.
 */
const { socketPath, identity, connections, calls, seed } = JSON.parse(process.argv[2] ?? '') as Sending;
const random = new Random(seed);

/**
 * In one of so many connections there are writes and lists, and so many of them: the next call waits for the answer to one. All others
 * ask for what is answered at once, as fast as it is read.
 */
const CONNECTIONS_PER_WRITER = 4;
const CALLS_PER_WRITE = 20;
const CALLS_PER_LIST = 40;
/** Behind the calls of one in so many connections there is nonsense, which ends it. */
const CONNECTIONS_PER_NONSENSE = 5;

class Sender {
  readonly name: string;
  readonly socket: net.Socket;
  acknowledged = 0;
  asked = 0;
  answers = 0;
  readonly codes: Set<string> = new Set();
  /** Of each call that is to be answered, what it stores; 0 for nothing. */
  #due: number[] = [];
  #answered = 0;
  #rest = '';
  readonly #isWriter: boolean = random.oneIn(CONNECTIONS_PER_WRITER);

  constructor(name: string, socket: net.Socket) {
    this.name = name;
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
  }

  send(): void {
    this.#due = [];
    this.#answered = 0;
    const messages = Array.from({ length: calls }, () => this.#next());
    // The last one has an answer in any case.
    this.#due.push(0);
    const nonsense = random.oneIn(CONNECTIONS_PER_NONSENSE) ? '{"method":1}\0' : '';
    this.socket.write(messages.join('') + callOf('Get', { name: this.name }) + nonsense);
  }

  #next(): string {
    const isOneway = random.oneIn(2);
    const flags = isOneway ? ({ oneway: true } as const) : {};
    if (this.#isWriter && random.oneIn(CALLS_PER_WRITE)) {
      this.asked += 1;
      if (!isOneway) this.#due.push(this.asked);
      return callOf('Create', { credentials: [{ name: this.name, value: `${this.asked} ` }], replace: true }, flags);
    }
    if (!isOneway) this.#due.push(0);
    if (this.#isWriter && random.oneIn(CALLS_PER_LIST)) return callOf('List', { patterns: [this.name] }, flags);
    return callOf('Get', { name: random.oneIn(2) ? this.name : 'missing' }, flags);
  }

  #take(chunk: Buffer): void {
    const messages = (this.#rest + chunk.toString('latin1')).split('\0');
    this.#rest = messages.pop() ?? '';
    for (const message of messages) {
      const stored = this.#due[this.#answered] ?? 0;
      const { error } = JSON.parse(message) as { error?: string };
      if (error !== undefined) this.codes.add(error);
      else if (stored > 0) this.acknowledged = stored;
      this.#answered += 1;
      this.answers += 1;
    }
    if (this.#answered === this.#due.length) this.send();
  }
}

const senders: Sender[] = [];
for (let index = 0; index < connections; index += 1) {
  const socket = withIdentity(identity, () => net.connect(socketPath));
  await new Promise<void>((resolve) => void socket.once('connect', resolve).once('error', () => resolve()));
  senders.push(new Sender(`sent-${index}`, socket));
}
for (const sender of senders) sender.send();
process.send?.({ connected: senders.filter(({ socket }) => !socket.destroyed).length });
process.on('message', () => {
  const report: Report = {
    answers: senders.reduce((sum, { answers }) => sum + answers, 0),
    codes: [...new Set(senders.flatMap(({ codes }) => [...codes]))],
    writes: senders.map(({ name, acknowledged, asked }) => ({ name, acknowledged, asked })),
  };
  process.send?.(report);
});
