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
  'tenant.not_found': 'not_found',
  /** The id was given to another tenant before. */
  'tenant.id_taken': 'conflict',
  /** Not in this `state`. */
  'tenant.wrong_state': 'conflict',
  /** The provider's own tenant cannot be disabled or deleted. */
  'tenant.is_platform': 'conflict',
  'tenant.not_exported': 'not_found',
  /** A service's part of the export is gone; it is collected anew. */
  'tenant.export_incomplete': 'unavailable',
  /** Somebody else has changed them meanwhile; `version` is in force now. */
  'settings.changed': 'conflict',
  /** These `parts` are the provider's to change. */
  'settings.not_yours': 'forbidden',
  'settings.version_missing': 'invalid',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
