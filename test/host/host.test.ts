/** All tests of one booted machine. Their order matters: each part uses what the earlier parts left behind. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { after } from 'node:test';
import { Canaries } from '../support/canary.ts';
import { startS3Server } from '../support/s3-server.ts';
import { activation } from './activation.ts';
import { callers } from './callers.ts';
import { doctor } from './doctor.ts';
import { install } from './install.ts';
import { journal } from './journal.ts';
import { killing } from './killing.ts';
import { load } from './load.ts';
import { purge } from './purge.ts';
import { restic } from './restic.ts';
import { setFiles } from './set-files.ts';
import { sources } from './sources.ts';
import { Machine } from './support/machine.ts';
import { upgrade } from './upgrade.ts';
import { userUnits } from './user-units.ts';
import { validation } from './validation.ts';
import { waitingUnits } from './waiting.ts';

const deb = process.env['CIO_DEB'];
if (deb === undefined) throw new Error('CIO_DEB does not say which package to test; npm run test:host does');
const root = process.env['CIO_HOST_ROOT'] ?? '/';

const canaries = new Canaries();
const user = {
  name: 'host',
  accessKey: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
  secretKey: canaries.plantWord('restic secret key'),
};
const [machine, s3Server] = await Promise.all([Machine.boot({ after }, root), startS3Server({ after }, [user])]);

install(machine, fs.readFileSync(deb));
callers(machine, canaries);
load(machine);
waitingUnits(machine);
killing(machine);
setFiles(machine, canaries);
restic(machine, canaries, s3Server, user);
validation(machine, canaries);
doctor(machine);
userUnits(machine);
activation(machine);
upgrade(machine);
journal(machine, canaries);
purge(machine);
sources(machine);
