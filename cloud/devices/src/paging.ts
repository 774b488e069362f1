import { devicesErrors } from './devices.errors';

/** Lists go by (created_at, id); a cursor is the last row's, so that rows added meanwhile neither repeat nor hide others. */
export interface PageRequest {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface After {
  readonly micros: string;
  readonly id: string;
}

const cursorText = /^(\d{1,17})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The place to go on after; the beginning when there is no cursor. Throws `cursor.invalid`. */
export function afterCursor(cursor: string | undefined): After {
  if (cursor === undefined) return { micros: '0', id: '00000000-0000-0000-0000-000000000000' };
  const match = cursorText.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!match) throw devicesErrors.error('cursor.invalid');
  return { micros: match[1] as string, id: match[2] as string };
}

/** SQL of the position of a row of `alias`, in whole microseconds: a Date would lose three digits. */
export const cursorMicros = (alias: string) => `(extract(epoch FROM ${alias}.created_at) * 1000000)::bigint::text AS cursor_micros`;
export const afterCondition = (alias: string, micros: string, id: string) =>
  `(${alias}.created_at, ${alias}.id) > ('epoch'::timestamptz + ${micros}::bigint * interval '1 microsecond', ${id}::uuid)`;

/** Rows fetched with `LIMIT limit + 1` become one page. */
export function pageOf<R extends { id: string; cursor_micros: string }, T>(
  rows: R[],
  limit: number,
  item: (row: R) => T,
): { items: T[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last ? Buffer.from(`${last.cursor_micros}.${last.id}`, 'latin1').toString('base64url') : null;
  return { items: shown.map(item), nextCursor };
}
