/** `node -r run-typescript.cjs x.ts`: lets a test start a second process from sources, as jest runs the first. */
const Module = require('node:module');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const root = join(__dirname, '../../..');
const resolve = Module._resolveFilename;
Module._resolveFilename = function (name, ...rest) {
  const sources = { '@stardipper/proto': 'proto/src/index.ts', '@star/platform': 'cloud/platform/src/index.ts' }[name];
  return resolve.call(this, sources ? join(root, sources) : name, ...rest);
};
Module._extensions['.ts'] = (module, path) => {
  const jsc = { target: 'es2023', parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true, decoratorMetadata: true } };
  module._compile(transformSync(readFileSync(path, 'utf8'), { filename: path, jsc, module: { type: 'commonjs' }, sourceMaps: 'inline' }).code, path);
};
