import { defineErrors } from '../errors/app-error';

export const analyticsErrors = defineErrors({
  'analytics.tenant_missing': 'internal',
  'analytics.row_invalid': 'internal',
  'analytics.unavailable': 'unavailable',
  'analytics.timeout': 'timeout',
  'analytics.failed': 'internal',
  'analytics.start_failed': 'internal',
  'analytics.migration_changed': 'internal',
  'analytics.migration_misnamed': 'internal',
});
