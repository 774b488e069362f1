import { defineErrors } from '@star/platform';

export const gatewayErrors = defineErrors({
  /** The service behind cannot be reached, or has failed so often that it is left alone for a moment. */
  'service.unavailable': 'unavailable',
  'service.timeout': 'timeout',
  /** More is in flight than the service is given at once. */
  'service.overloaded': 'unavailable',
  'request.limited': 'limited',
});
