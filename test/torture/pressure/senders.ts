import net from 'node:net';
import { withIdentity } from '../../support/identity.ts';
import { Random } from '../random.ts';
import { callOf } from './presses.ts';
import type { Report, Sending } from './sent-beforehand.ts';

/**
 * A process with many connections of one user. Each sends all of its calls at once, and again when the last is
 * answered, as long as the daemon lives. Reports the results on any message from its parent.
 */
const { socketPath, identity, connections, calls, seed } = JSON.parse(process.argv[2] ?? '') as Sending;
const random = new Random(seed);

/**
 * One in so many connections has writes and lists among its calls, each one in so many. These hold up the calls after
 * them until they are answered; all others are answered as fast as they are read.
 */
const CONNECTIONS_PER_WRITER = 4;
const CALLS_PER_WRITE = 20;
const CALLS_PER_LIST = 40;
/** In one of so many connections, nonsense follows the calls and ends the connection. */
const CONNECTIONS_PER_NONSENSE = 5;

class Sender {
  readonly name: string;
  readonly socket: net.Socket;
  acknowledged = 0;
  asked = 0;
  answers = 0;
  readonly codes: Set<string> = new Set();
  /** For each call that expects a reply, the number of the value that it stores; 0 for none. */
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
    // The last call always has a reply.
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
