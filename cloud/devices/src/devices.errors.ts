import { defineErrors } from '@star/platform';

export const devicesErrors = defineErrors({
  'edge.not_found': 'not_found',
  'edge.name_taken': 'conflict',
  /** It has no session now: an RPC that must be answered at once cannot be. */
  'edge.offline': 'unavailable',
  /** It has a session and did not answer in time. */
  'edge.timeout': 'timeout',
  'edge.busy': 'limited',
  'recorder.not_found': 'not_found',
  'recorder.name_taken': 'conflict',
  'recorder.time_zone_unknown': 'unprocessable',
  'camera.not_found': 'not_found',
  'community.not_found': 'unprocessable',
  'provisioning_key.not_found': 'not_found',
  'cursor.invalid': 'invalid',
  'rpc.params_invalid': 'invalid',
  'rpc.too_large': 'too_large',
});
