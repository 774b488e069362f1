import { rm } from 'node:fs/promises';
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';

/** Serves gRPC for the other processes of this installation. */
export async function serveInside(
  address: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
): Promise<Server> {
  // One that was killed leaves its socket behind; only one process of the installation serves an address.
  if (address.startsWith('unix:')) await rm(address.slice('unix:'.length), { force: true });
  const server = new Server();
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}
