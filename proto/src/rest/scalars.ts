import { z } from 'zod';

/** In small letters, as PostgreSQL writes them: ids are compared and put into keys as text. */
export const uuid = z.uuid().toLowerCase();
export const id = uuid;
/** RFC 3339 with an offset. */
export const time = z.iso.datetime({ offset: true });
/** Of a thing, as people call it. */
export const name = z.string().trim().min(1).max(120);
