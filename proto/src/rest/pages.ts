import { z } from 'zod';

/** Lists are `{items, nextCursor}`; pass `cursor` to go on. A cursor belongs to one list of one tenant. */
export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() });

export type Page<T> = { items: T[]; nextCursor: string | null };
