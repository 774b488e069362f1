import { z } from 'zod';
import { searchError } from './search.errors';

/** Opaque to clients; names its list, so that a cursor of another list is refused instead of misread. */
export function encodeCursor(list: string, position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([list, ...position])).toString('base64url');
}

/** Throws `search.cursor_invalid`. */
export function decodeCursor<T extends z.ZodType>(list: string, cursor: string | undefined, position: T): z.infer<T> | undefined {
  if (cursor === undefined) return undefined;
  try {
    const [name, ...rest] = z.array(z.unknown()).parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
    if (name === list) return position.parse(rest);
  } catch {
    // Whatever is wrong with it, the answer is the same.
  }
  throw searchError('search.cursor_invalid');
}

export const byAge = z.tuple([z.iso.datetime(), z.uuid()]);

/** Behind every other: where a list by age begins. */
export const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** SQL of a row's age as a cursor has it, in whole microseconds: a Date would lose three digits. */
export const agePosition = `to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS position`;
