import { defineErrors } from '@star/platform';

export const devicesErrors = defineErrors({
  'edge.not_found': 'not_found',
  'edge.name_taken': 'conflict',
  /** It has no session now: an RPC that must be answered at once cannot be. */
  'edge.offline': 'unavailable',
  /** It has a session and did not answer in time. */
  'edge.timeout': 'timeout',
  'edge.busy': 'limited',
  /** The tenant is not enabled; its boxes come in again when it is. */
  'customer.closed': 'unavailable',
  'recorder.not_found': 'not_found',
  'recorder.name_taken': 'conflict',
  'recorder.time_zone_unknown': 'unprocessable',
  'camera.not_found': 'not_found',
  'area.unknown': 'unprocessable',
  /** A box stands in a community or a building; a camera may be set to a building below its box. */
  'area.kind_unfit': 'unprocessable',
  'area.not_below_edge': 'unprocessable',
  'provisioning_key.not_found': 'not_found',
  'software.not_found': 'not_found',
  'software.type_unsupported': 'invalid',
  'software.empty': 'invalid',
  /** Cut off, or not as long as it was said to be. */
  'software.incomplete': 'invalid',
  'software.too_large': 'too_large',
  'software.not_gzip': 'unprocessable',
  /** Not the SHA-256 the sender said. */
  'software.checksum_wrong': 'unprocessable',
  /** Other bytes are there under this title and version. */
  'software.version_taken': 'conflict',
  'software.too_many': 'conflict',
  'software.upload_too_slow': 'timeout',
  /** It cannot be deleted while boxes are to have it. */
  'software.assigned': 'conflict',
  'cursor.invalid': 'invalid',
  'rpc.params_invalid': 'invalid',
  'rpc.too_large': 'too_large',
});
