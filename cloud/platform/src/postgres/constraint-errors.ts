import { types } from 'node:util';

/** The fields of a PostgreSQL error that code may decide by. Never its text: that depends on the server's language. */
interface PostgresErrorFields {
  readonly code: string;
  readonly constraint?: string;
  readonly table?: string;
}

/** The SQLSTATE fields when `error` came from the server, looking through `cause`; undefined otherwise. */
export function postgresError(error: unknown): PostgresErrorFields | undefined {
  for (let current = error, depth = 0; types.isNativeError(current) && depth < 5; current = current.cause, depth++) {
    const code = (current as { code?: unknown }).code;
    // SQLSTATE is five characters; Node's own errors (ECONNREFUSED) are longer.
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return current as unknown as PostgresErrorFields;
  }
  return undefined;
}

const violation = (sqlState: string) => (error: unknown, constraint?: string) => {
  const found = postgresError(error);
  return found?.code === sqlState && (constraint === undefined || found.constraint === constraint);
};

/** A unique or primary key constraint refused the row; with `constraint`, exactly that one. */
export const isUniqueViolation = violation('23505');
/** A foreign key refused the row, or refused to let it go. */
export const isForeignKeyViolation = violation('23503');
/** A CHECK refused the row. */
export const isCheckViolation = violation('23514');
/** An exclusion constraint (overlapping ranges) refused the row. */
export const isExclusionViolation = violation('23P01');
