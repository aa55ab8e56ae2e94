/**
 * The script behind `npm start`, `npm test` and the other tasks: installs what is missing, builds what is stale, and
 * runs the task on the pinned Node. The script itself runs on the host's Node and has no dependencies. This file avoids
 * recent syntax, so that on any old Node that supports modules the user gets a message instead of a syntax error.
 */
const NODE_MAJOR_MIN = 18;

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `Node ${process.versions.node} is too old to install anything: needs Node ${NODE_MAJOR_MIN} or later, and npm.\n` +
      '  The daemon itself then runs on a pinned Node of its own.\n',
  );
  process.exit(1);
}

void import('./bootstrap/main.mjs').then(({ main }) => main(process.argv.slice(2)));
