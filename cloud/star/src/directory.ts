import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AppError, defineErrors, type ErrorKind, errorKinds } from '@star/platform';
import type { EdgeDirectory } from '@star/search';
import { devices } from '@stardipper/proto';
import { z } from 'zod';

export const directoryErrors = defineErrors({ 'devices.unavailable': 'unavailable', 'devices.timeout': 'timeout' });

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

/** Code, kind and parameters travel as JSON in the details: the error is here what it was there. Without them the service is down or late. */
function appError(error: ServiceError): AppError {
  const told = toldError.safeParse(parsed(error.details));
  if (told.success) return new AppError(told.data.code, told.data.kind, told.data.params, { cause: error });
  if (error.code === status.DEADLINE_EXCEEDED) return directoryErrors.error('devices.timeout', {}, error);
  return directoryErrors.error('devices.unavailable', {}, error);
}

const toldError = z.object({
  code: z.string(),
  kind: z.enum(Object.keys(errorKinds) as [ErrorKind, ...ErrorKind[]]),
  params: z.record(z.string(), z.unknown()),
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
