/**
 * `node -r` this in a child process of a test: TypeScript sources run as jest runs them, with workspace imports
 * resolved to sources, so that a child never runs a stale build.
 */
const Module = require('node:module');
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const root = join(__dirname, '../../..');
const workspace = [
  [/^@stardipper\/proto$/, () => join(root, 'proto/src/index.ts')],
  [/^@star\/([\w-]+)$/, (name) => join(root, 'cloud', name, 'src/index.ts')],
  [/^@dipper\/([\w-]+)$/, (name) => join(root, 'edge', name, 'src/index.ts')],
];

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  for (const [pattern, source] of workspace) {
    const match = pattern.exec(request);
    if (match && existsSync(source(match[1]))) return source(match[1]);
  }
  return resolveFilename.call(this, request, parent, ...rest);
};

Module._extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    swcrc: false,
    jsc: { target: 'es2023', parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true, decoratorMetadata: true } },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  });
  module._compile(code, filename);
};
