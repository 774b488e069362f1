/** One configuration for every project: workspace imports resolve to sources, so tests never see a stale build. */
const stardipper = { '^@stardipper/proto$': '<rootDir>/proto/src', '^@star/platform/(nest|test-kit)$': '<rootDir>/cloud/platform/src/$1', '^@star/([\\w-]+)$': '<rootDir>/cloud/$1/src', '^@dipper/([\\w-]+)$': '<rootDir>/edge/$1/src' };
/** Packages published as ES modules only. */
const esm = ['content-disposition', 'jose', 'oidc-provider'];

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/proto', '<rootDir>/cloud', '<rootDir>/edge', '<rootDir>/tools', '<rootDir>/web'],
  testMatch: ['**/src/**/*.test.ts', '**/test/**/*.test.ts', '**/tools/e2e/*.test.ts'],
  modulePathIgnorePatterns: ['/dist/', '/.star/'],
  // Suites that need a real Kafka run with `npm run test:stack`.
  testPathIgnorePatterns: ['/node_modules/', ...(process.env.STACK === '1' ? [] : ['\\.stack\\.test\\.ts$'])],
  moduleNameMapper: stardipper,
  transform: {
    '^.+\\.(ts|m?js)$': ['@swc/jest', {
      jsc: { target: 'es2023', parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true, decoratorMetadata: true } },
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    }],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esm.join('|')})/)`],
  testTimeout: 180_000,
  maxWorkers: 2,
};
