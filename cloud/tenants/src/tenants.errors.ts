import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** User name or password: which of the two is not told. */
  'session.wrong_credentials': 'unauthenticated',
  'session.locked': 'limited',
  'user.username_taken': 'conflict',
  'area.not_found': 'not_found',
  /** Among its siblings. */
  'area.name_taken': 'conflict',
  'area.parent_unfit': 'unprocessable',
  /** The top of the tree is for those whose role holds in the whole tenant. */
  'area.top_forbidden': 'forbidden',
  'area.cycle': 'unprocessable',
  'area.too_deep': 'unprocessable',
  'area.too_many': 'conflict',
  'area.merge_unfit': 'unprocessable',
  'area.not_empty': 'conflict',
  'grant.not_found': 'not_found',
  'grant.exists': 'conflict',
  'user.unknown': 'unprocessable',
  'user.not_found': 'not_found',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
