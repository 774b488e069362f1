import { defineErrors } from '@star/platform';

export const tenantErrors = defineErrors({
  /** User name or password: which of the two is not told. */
  'session.wrong_credentials': 'unauthenticated',
  'session.locked': 'limited',
  'user.username_taken': 'conflict',
  'community.name_taken': 'conflict',
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
  'user.not_found': 'not_found',
  'audit.cursor_invalid': 'invalid',
});

export const { error: tenantError } = tenantErrors;
