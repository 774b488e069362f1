import { z } from 'zod';
import { AppError, errorKinds } from './app-error';
import { parseInput, toPointer, toProblem } from './problem';

const trace = '0af7651916cd43dd8448eb211c80319c';

test.each(Object.entries(errorKinds).filter(([kind]) => kind !== 'internal'))(
  'an AppError of kind %s shows its code and params only',
  (kind, { status }) => {
    const error = new AppError(
      'thing.code',
      kind as keyof typeof errorKinds,
      { id: 7 },
      { cause: new Error('inside'), message: 'inside too' },
    );
    const problem = toProblem(error, trace);
    expect(problem).toMatchObject({ status, code: 'thing.code', params: { id: 7 }, traceId: trace });
    expect(JSON.stringify(problem)).not.toContain('inside');
  },
);

test.each([
  ['an internal AppError', new AppError('postgres.in_use', 'internal', { path: '/secret' })],
  ['an error of PostgreSQL', Object.assign(new Error('relation "users" does not exist'), { code: '42P01', detail: 'secret' })],
  ['a plain error', new Error('secret')],
  ['an error that claims to be fine', Object.assign(new Error('secret'), { statusCode: 200 })],
  ['a 5xx of a library', Object.assign(new Error('secret'), { statusCode: 502 })],
  ['a text', 'secret'],
  ['nothing', undefined],
])('%s is internal and says nothing', (_, error) => {
  expect(toProblem(error, trace)).toEqual({
    type: 'urn:star:problem:internal',
    title: 'Internal Server Error',
    status: 500,
    code: 'internal',
    params: {},
    traceId: trace,
  });
});

test('pointers are escaped', () => {
  expect(toPointer(['a/b', '~', 0, ''])).toBe('/a~1b/~0/0/');
});

test('fields are told by place; what was sent is not repeated; a refinement names its own code', () => {
  const range = z.object({ from: z.int(), to: z.int(), kind: z.enum(['a', 'b']) }).superRefine((value, context) => {
    if (value.from > value.to) context.addIssue({ code: 'custom', path: ['to'], params: { code: 'range.reversed' } });
  });
  const problemFor = (input: unknown) => {
    try {
      return parseInput(z.array(range), input);
    } catch (error) {
      return toProblem(error, trace);
    }
  };
  expect(problemFor([{ from: 2, to: 1, kind: 'a' }])).toMatchObject({ errors: [{ pointer: '/0/to', code: 'range.reversed' }] });
  const wrong = problemFor([{ from: 'SENT', to: 1.5, kind: 'SENT' }]);
  expect(wrong).toMatchObject({
    errors: [
      { pointer: '/0/from', code: 'invalid_type', params: { expected: 'number' } },
      { pointer: '/0/to', code: 'invalid_type' },
      { pointer: '/0/kind', code: 'invalid_value', params: { values: ['a', 'b'] } },
    ],
  });
  expect(JSON.stringify(wrong)).not.toContain('SENT');
});

test('a request with a thousand mistakes gets a bounded answer', () => {
  const error = z.array(z.int()).safeParse(Array.from({ length: 1000 }, () => 'x')).error;
  expect(toProblem(error, trace).errors).toHaveLength(50);
  const extra = z.strictObject({}).safeParse(Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, 1]))).error;
  expect(toProblem(extra, trace).errors).toHaveLength(50);
});
