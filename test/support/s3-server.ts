import fs from 'node:fs';
import path from 'node:path';
import { twoFreePorts } from './free-port.ts';
import type { ProcessOptions } from './process.ts';
import { runSuccessfully, Service, until } from './process.ts';
import type { Requirement } from './requirements.ts';
import { command } from './requirements.ts';
import type { Scope } from './scope.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The requirements of {@link startS3Server}. */
export const S3_SERVER: readonly Requirement[] = [
  command('radosgw'),
  command('ceph-mon'),
  command('ceph-osd'),
  command('ceph', 'ceph-common'),
];

/**
 * Settings that enable roles, with sessions of two seconds and more. With these, RGW answers AccessDenied to a wrong
 * secret key as well.
 */
export const WITH_STS: readonly string[] = [
  'rgw s3 auth use sts = true',
  'rgw sts key = abcdefghijklmnop',
  'rgw sts min session duration = 2',
];

/** A user that the server knows, with a key pair. */
export interface S3User {
  readonly name: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** An S3 server that verifies signatures. */
export interface S3Server {
  /** For example `http://127.0.0.1:17480`. */
  readonly endpoint: string;
  /** Runs radosgw-admin. */
  readonly admin: (...args: string[]) => Promise<string>;
}

/**
 * Starts Ceph's object gateway on 127.0.0.1 with a monitor and an OSD that stores in memory. Takes about ten seconds.
 * The server is stopped when the scope ends.
 *
 * @param settings more lines for the gateway's section of ceph.conf, such as {@link WITH_STS}
 */
export async function startS3Server(
  scope: Scope,
  users: readonly S3User[],
  settings: readonly string[] = [],
): Promise<S3Server> {
  const directory = temporaryDirectory(scope, 'cio-s3');
  const [monitorPort, gatewayPort] = await twoFreePorts();
  const options: ProcessOptions = { cwd: directory };
  const ceph = (...args: string[]): Promise<string> =>
    runSuccessfully(['ceph', '-c', 'ceph.conf', '--connect-timeout', '30', ...args], options);

  const clusterId = crypto.randomUUID();
  fs.writeFileSync(
    path.join(directory, 'ceph.conf'),
    configuration(directory, clusterId, monitorPort, gatewayPort).concat(settings.join('\n'), '\n'),
  );
  for (const part of ['mon', 'osd', 'rgw']) fs.mkdirSync(path.join(directory, part));
  await makeKeyring(options);
  const monitorAddress = `[v2:127.0.0.1:${monitorPort}]`;
  await runSuccessfully(
    ['monmaptool', '--create', '--addv', 'a', monitorAddress, '--fsid', clusterId].concat(
      '--set-min-mon-release',
      'pacific',
      'monmap',
    ),
    options,
  );
  await runSuccessfully(
    ['ceph-mon', '-c', 'ceph.conf', '--mkfs', '-i', 'a', '--monmap', 'monmap', '--keyring', 'keyring'],
    options,
  );

  // At the end the daemons are killed in reverse order, the monitor last. None of their data is kept, and a regular
  // shutdown of the gateway takes ten seconds.
  const start = (...daemon: string[]): Service => new Service(scope, [...daemon, '-c', 'ceph.conf', '-f'], options);
  start('ceph-mon', '-i', 'a');
  await ceph('osd', 'create');
  await runSuccessfully(
    ['ceph-osd', '-c', 'ceph.conf', '-i', '0', '--mkfs', '--osd-uuid', crypto.randomUUID()],
    options,
  );
  await ceph('osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=localhost');
  start('ceph-osd', '-i', '0');
  const gateway = start('radosgw', '-n', 'client.rgw.a');
  const endpoint = `http://127.0.0.1:${gatewayPort}`;
  await until(gateway, async () => (await isAnswering(endpoint)) || undefined);

  const admin = (...args: string[]): Promise<string> =>
    runSuccessfully(['radosgw-admin', '-c', 'ceph.conf', '-n', 'client.rgw.a', ...args], options);
  for (const { name, accessKey, secretKey } of users) {
    const keys = ['--access-key', accessKey, '--secret-key', secretKey];
    await admin('user', 'create', '--uid', name, '--display-name', name, ...keys);
  }
  return { endpoint, admin };
}

/** Makes the keyring of all daemons. The gateway's key must be in it before the monitor is created. */
async function makeKeyring(options: ProcessOptions): Promise<void> {
  const rights: Record<string, string[]> = {
    'mon.': ['mon', 'allow *'],
    'client.admin': ['mon', 'allow *', 'osd', 'allow *', 'mgr', 'allow *'],
    'client.rgw.a': ['mon', 'allow rwx', 'osd', 'allow rwx'],
    'osd.0': ['mon', 'allow profile osd', 'osd', 'allow *', 'mgr', 'allow *'],
  };
  await runSuccessfully(['ceph-authtool', '--create-keyring', 'keyring'], options);
  for (const [entity, right] of Object.entries(rights)) {
    const caps = Array.from({ length: right.length / 2 }, (_, index) => [
      '--cap',
      ...right.slice(2 * index, 2 * index + 2),
    ]);
    await runSuccessfully(['ceph-authtool', 'keyring', '--gen-key', '-n', entity, ...caps.flat()], options);
  }
}

async function isAnswering(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(endpoint)).status === 200;
  } catch {
    return false;
  }
}

function configuration(directory: string, clusterId: string, monitorPort: number, gatewayPort: number): string {
  return `[global]
fsid = ${clusterId}
mon host = v2:127.0.0.1:${monitorPort}
mon initial members = a
public addr = 127.0.0.1
public network = 127.0.0.0/8
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
run dir = ${directory}
admin socket = ${directory}/$name.asok
pid file = ${directory}/$name.pid
log file = ${directory}/$name.log
keyring = ${directory}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.05
paxos min wait = 0.01
[mon.a]
mon data = ${directory}/mon
[osd]
osd data = ${directory}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd class load list = *
osd class default list = *
[client.rgw.a]
rgw data = ${directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
rgw thread pool size = 16
rgw enable usage log = false
rgw enable ops log = false
`;
}
