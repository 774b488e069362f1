/**
 * `sw_tag` of an assignment: a box that is assigned the same package again, also while it was away, sees another one,
 * and tries again what had failed or says that it has it.
 */
export const softwareTag = (row: { title: string; version: string; assigned_at: Date }): string =>
  `${row.title} ${row.version} ${row.assigned_at.toISOString()}`;
