import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** User name or password: which of the two is not told. */
  'session.wrong_credentials': 'unauthenticated',
  'session.locked': 'limited',
  'user.username_taken': 'conflict',
  'community.name_taken': 'conflict',
  'user.not_found': 'not_found',
  'api_key.not_found': 'not_found',
  /** A permission the caller does not hold cannot be given on. */
  'api_key.not_held': 'forbidden',
  'api_key.expired': 'unprocessable',
  'api_key.too_many': 'conflict',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
