/** For the audit log: the fields that `change` names, as they were and as they are. */
export function changed<T extends object>(
  was: T,
  is: T,
  change: Partial<Record<keyof T, unknown>>,
): { before: Partial<T>; after: Partial<T> } {
  const fields = (Object.keys(change) as (keyof T)[]).filter((field) => change[field] !== undefined);
  const of = (thing: T) => Object.fromEntries(fields.map((field) => [field, thing[field]])) as Partial<T>;
  return { before: of(was), after: of(is) };
}
