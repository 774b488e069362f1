/** Lets a worker thread or a child process run the TypeScript sources: what jest does for the tests themselves. */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const root = join(__dirname, '..', '..', '..', '..');
require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    jsc: { target: 'es2023', parser: { syntax: 'typescript', decorators: true } },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  });
  module._compile(code, filename);
};
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (request === '@stardipper/proto') return join(root, 'proto', 'src', 'index.ts');
  if (request === '@dipper/platform') return join(root, 'edge', 'platform', 'src', 'index.ts');
  return resolve.call(this, request, ...rest);
};
