import { type handleUnaryCall, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AppError, type ErrorKind } from '@star/platform';
import { devices as wire } from '@stardipper/proto';
import { z } from 'zod';
import type { Devices } from './create-devices';
import { devicesErrors } from './devices.errors';

const codes: Readonly<Record<ErrorKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  not_found: status.NOT_FOUND,
  conflict: status.ALREADY_EXISTS,
  gone: status.NOT_FOUND,
  too_large: status.INVALID_ARGUMENT,
  unprocessable: status.FAILED_PRECONDITION,
  limited: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  internal: status.INTERNAL,
};

/** The stable code, its kind and its parameters travel as JSON in the details; nothing else of the error does. */
function grpcError(error: unknown): Partial<ServiceError> {
  const known = error instanceof AppError ? error : new AppError('internal', 'internal');
  return {
    code: codes[known.kind],
    details: JSON.stringify({ code: known.code, kind: known.kind, params: known.params }),
    metadata: new Metadata(),
  };
}

const unary =
  <Q, A>(handle: (request: Q) => Promise<A>): handleUnaryCall<Q, A> =>
  (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then(
        (answer) => callback(null, answer),
        (error: unknown) => callback(grpcError(error)),
      );
  };

const isId = (text: string) => z.uuid().safeParse(text).success;

/** star.v1.DevicesService, for the services of Star only: the tenant is what the caller says. */
export function devicesGrpcService(devices: Devices): readonly [typeof wire.DevicesServiceService, wire.DevicesServiceServer] {
  return [
    wire.DevicesServiceService,
    {
      listCameras: unary(async ({ tenantId, cameraIds }: wire.ListCamerasRequest) => ({
        cameras: isId(tenantId) ? await devices.listCameraRefs(tenantId, cameraIds) : [],
      })),
      listEdges: unary(async ({ tenantId }: wire.ListEdgesRequest) => ({
        edges: isId(tenantId) ? await devices.listEdgeRefs(tenantId) : [],
      })),
      askEdge: unary(async ({ tenantId, edgeId, method, paramsJson, timeoutMs }: wire.AskEdgeRequest) => {
        if (!isId(tenantId) || !isId(edgeId)) throw devicesErrors.error('edge.not_found', { edgeId });
        return { replyJson: (await devices.askEdge(tenantId, edgeId, method, paramsJson, timeoutMs)).replyJson };
      }),
    },
  ];
}
