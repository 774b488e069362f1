#!/usr/bin/env node
// Runs the compiled command on the workspace's own Node, whatever Node the host has.
const { spawn } = require('node:child_process');
const { join } = require('node:path');

const main = join(__dirname, '..', 'dist', 'command-main.js');
if (Number(process.versions.node.split('.')[0]) >= 24) require(main);
else {
  let node;
  try {
    node = require.resolve(`node-linux-${process.arch}/bin/node`);
  } catch {
    process.stderr.write(`star needs Node 24 or newer; this is ${process.version}.\n`);
    process.exit(1);
  }
  // With the channel, the command ends when this process is killed.
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
}
