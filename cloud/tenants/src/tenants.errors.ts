import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** The tenant would have nobody left who looks after its users. */
  'user.last_admin': 'conflict',
  /** Roles of the platform are given, and their holders changed, by an operator of the platform alone. */
  'user.role_above_yours': 'forbidden',
  'community.name_taken': 'conflict',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
