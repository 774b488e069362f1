import { Metadata, status } from '@grpc/grpc-js';
import { AgentError, fromGrpcError, toGrpcError } from './agent-error';

const bare = (code: status) => ({ code, details: '', metadata: new Metadata() });

describe('errors of agents', () => {
  it('cross gRPC with their code, kind and parameters', () => {
    const back = fromGrpcError(toGrpcError(new AgentError('task.not_found', 'not_found', { taskId: 'x' })));
    expect(back).toMatchObject({ code: 'task.not_found', kind: 'not_found', params: { taskId: 'x' }, retry: false });
    expect(fromGrpcError(toGrpcError(new Error('a bug')))).toMatchObject({ code: 'internal', kind: 'internal', params: {} });
  });

  it.each([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL, status.UNKNOWN])(
    'read a connection that dies with %i as an agent away',
    (code) => {
      expect(fromGrpcError(bare(code))).toMatchObject({ code: 'agent.unavailable', retry: true });
    },
  );

  it('tell what the caller cancelled, what took too long, and what will never work', () => {
    expect(fromGrpcError(bare(status.CANCELLED), true)).toMatchObject({ code: 'agent.cancelled', retry: false });
    expect(fromGrpcError(bare(status.DEADLINE_EXCEEDED))).toMatchObject({ code: 'agent.timeout', retry: true });
    expect(fromGrpcError(bare(status.UNIMPLEMENTED))).toMatchObject({ code: 'agent.failed', params: { grpc: 12 }, retry: false });
  });
});
