import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type CallOptions,
  type ChannelOptions,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { fromGrpcError, toGrpcError } from './agent-error';

/** Crops and queries fit; whole videos never travel over gRPC, only their paths. */
const channelOptions: ChannelOptions = {
  'grpc.max_receive_message_length': 10 * 1024 * 1024,
  'grpc.max_send_message_length': 10 * 1024 * 1024,
  // An agent that was killed is back within a second or two; gRPC's own default waits up to two minutes.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.enable_retries': 0,
};

/** Where an agent listens: a socket in the data folder, or, where that path is too long for a socket (107 bytes), in the temporary folder. */
export function agentSocket(dataDir: string, agent: string): string {
  const path = join(dataDir, 'run', `${agent}.sock`);
  if (Buffer.byteLength(path) <= 100) return path;
  const short = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  return join(tmpdir(), `dipper-${userInfo().uid}-${short}`, `${agent}.sock`);
}

/** Serves on a unix socket that only this user can open; a stale one from a killed process is replaced. */
export async function serveGrpc(
  socket: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
): Promise<Server> {
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  rmSync(socket, { force: true });
  const server = new Server(channelOptions);
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}

export function dial<C extends Client>(
  client: new (address: string, creds: ReturnType<typeof credentials.createInsecure>, options: ChannelOptions) => C,
  socket: string,
): C {
  return new client(`unix:${socket}`, credentials.createInsecure(), channelOptions);
}

/** A unary handler as an async function; `signal` aborts when the caller cancels or goes away. */
export function unary<Q, A>(handle: (request: Q, signal: AbortSignal) => Promise<A> | A): handleUnaryCall<Q, A> {
  return (call, callback) => {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort());
    Promise.resolve()
      .then(() => handle(call.request, abort.signal))
      .then(
        (answer) => callback(null, answer),
        (error: unknown) => callback(toGrpcError(error)),
      );
  };
}

/** A server-streaming handler as an async generator; waits for `drain`, so a slow reader holds the producer back. */
export function streaming<Q, A>(handle: (request: Q, signal: AbortSignal) => AsyncIterable<A>): handleServerStreamingCall<Q, A> {
  return (call) => {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort());
    const run = async () => {
      for await (const answer of handle(call.request, abort.signal)) {
        if (abort.signal.aborted) return;
        if (!call.write(answer))
          await new Promise<void>((resolve) => {
            call.once('drain', resolve);
            abort.signal.addEventListener('abort', () => resolve(), { once: true });
          });
      }
      call.end();
    };
    // Emitted, not destroyed with: a destroyed stream never sends its status, and the caller waits for ever.
    run().catch((error: unknown) => call.emit('error', Object.assign(new Error(), toGrpcError(error))));
  };
}

type Unary<Q, A> = (
  request: Q,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, answer: A) => void,
) => ClientUnaryCall;
type Streaming<Q, A> = (request: Q, metadata: Metadata, options?: Partial<CallOptions>) => ClientReadableStream<A>;

export interface CallLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Calls a unary method of a client; throws AgentError. */
export function callUnary<Q, A>(client: Client, method: Unary<Q, A>, request: Q, { timeoutMs, signal }: CallLimits): Promise<A> {
  return new Promise<A>((resolve, reject) => {
    const call = method.call(client, request, new Metadata(), { deadline: Date.now() + timeoutMs }, (error, answer) => {
      signal?.removeEventListener('abort', cancel);
      if (error) reject(fromGrpcError(error, signal?.aborted));
      else resolve(answer);
    });
    const cancel = () => call.cancel();
    if (signal?.aborted) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
  });
}

/** Reads a server stream; leaving the loop early cancels the call. Throws AgentError. Without timeoutMs it may last for ever. */
export async function* callStreaming<Q, A>(
  client: Client,
  method: Streaming<Q, A>,
  request: Q,
  { timeoutMs, signal }: Partial<CallLimits>,
): AsyncGenerator<A> {
  const call = method.call(client, request, new Metadata(), timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs });
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const answer of call) yield answer as A;
  } catch (error) {
    throw fromGrpcError(error, signal?.aborted);
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}
