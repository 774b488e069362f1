import { z } from 'zod';

/** Microseconds since 1970 and an id: JavaScript's dates drop the microseconds, and two rows made in one millisecond would be skipped. */
const position = z.tuple([z.string().regex(/^\d{1,17}$/), z.uuid()]);

/** Where a list that is ordered by age goes on. A cursor that is none throws a ZodError, which the HTTP side answers as `request.invalid`. */
export const afterCursor = (cursor: string | undefined): readonly [string, string] | undefined =>
  cursor === undefined ? undefined : position.parse(Buffer.from(cursor, 'base64url').toString().split(' '));

export const cursorAt = ({ micros, id }: { readonly micros: string; readonly id: string }): string =>
  Buffer.from(`${micros} ${id}`).toString('base64url');
