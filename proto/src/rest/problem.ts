import { z } from 'zod';

/** RFC 9457, plus a stable `code` to translate by. `errors` points at fields by JSON pointer. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  params: z.record(z.string(), z.unknown()),
  traceId: z.string(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), params: z.record(z.string(), z.unknown()) })).optional(),
});
export type Problem = z.infer<typeof problem>;
