import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** The tenant would have nobody left who looks after its users. */
  'user.last_admin': 'conflict',
  /** Roles of the platform are given, and their holders changed, by an operator of the platform alone. */
  'user.role_above_yours': 'forbidden',
  'api_key.not_found': 'not_found',
  /** A permission the caller does not hold cannot be given on. */
  'api_key.not_held': 'forbidden',
  'api_key.expired': 'unprocessable',
  'api_key.too_many': 'conflict',
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
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
