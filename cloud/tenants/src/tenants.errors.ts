import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** User name or password: which of the two is not told. */
  'session.wrong_credentials': 'unauthenticated',
  'session.locked': 'limited',
  'user.username_taken': 'conflict',
  'community.name_taken': 'conflict',
  'user.not_found': 'not_found',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
