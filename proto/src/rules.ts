/** What the console runs of this package, and not only reads the types of: no gRPC, no schemas. */
export * from './area-rules';
export * from './policy';
