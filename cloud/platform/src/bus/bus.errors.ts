import { defineErrors } from '../errors/app-error';

export const busErrors = defineErrors({
  'bus.unknown_topic': 'invalid',
  'bus.record_invalid': 'invalid',
  'bus.record_too_large': 'too_large',
  'bus.undecodable': 'unprocessable',
  'bus.overloaded': 'limited',
  'bus.unavailable': 'unavailable',
  'bus.closed': 'unavailable',
  'bus.handler_timeout': 'timeout',
  'bus.dead_letter_not_found': 'not_found',
  'bus.cursor_invalid': 'invalid',
});
