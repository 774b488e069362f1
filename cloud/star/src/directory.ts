import { rm } from 'node:fs/promises';
import {
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { AppError, type ErrorKind, errorKinds } from '@star/platform';
import type { EdgeDirectory } from '@star/search';
import { devices } from '@stardipper/proto';

/** Serves star.v1.DevicesService for the other services of this installation. */
export async function serveDirectory(
  address: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
): Promise<Server> {
  // One that was killed leaves its socket behind; the supervisor runs one devices process at a time.
  if (address.startsWith('unix:')) await rm(address.slice('unix:'.length), { force: true });
  const server = new Server();
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}

/** star.v1.DevicesService as search's port. Listing has ten seconds. */
export function connectDirectory(address: string): EdgeDirectory & { close(): void } {
  const client = new devices.DevicesServiceClient(address, credentials.createInsecure(), { 'grpc.max_reconnect_backoff_ms': 1000 });
  return {
    listCameras: async (tenantId, cameraIds) => {
      const answer = await call<devices.ListCamerasResponse>((done) =>
        client.listCameras({ tenantId, cameraIds: [...cameraIds] }, new Metadata(), { deadline: Date.now() + 10_000 }, done),
      );
      return answer.cameras;
    },
    askEdge: async (tenantId, edgeId, method, paramsJson, timeoutMs) => {
      const answer = await call<devices.AskEdgeResponse>((done) =>
        client.askEdge(
          { tenantId, edgeId, method, paramsJson, timeoutMs },
          new Metadata(),
          { deadline: Date.now() + timeoutMs + 1000 },
          done,
        ),
      );
      return answer.replyJson;
    },
    close: () => client.close(),
  };
}

type Done<T> = (error: ServiceError | null, answer: T) => void;

const call = <T>(start: (done: Done<T>) => unknown): Promise<T> =>
  new Promise((resolve, reject) => {
    start((error, answer) => (error ? reject(appError(error)) : resolve(answer)));
  });

/** Code and parameters travel as JSON in the details; without them the other service is down. */
function appError(error: ServiceError): AppError {
  try {
    const { code, params, kind } = JSON.parse(error.details) as { code: string; params: Record<string, unknown>; kind?: string };
    return new AppError(code, kind && kind in errorKinds ? (kind as ErrorKind) : 'unavailable', params, { cause: error });
  } catch {
    return new AppError('devices.unavailable', 'unavailable', {}, { cause: error });
  }
}
