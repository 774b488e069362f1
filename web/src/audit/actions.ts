import { i18n } from '../i18n';

/** What actions begin with, before the dot: what the list can be narrowed to. */
export const kinds = [
  'search',
  'approval_rule',
  'person',
  'photo',
  'photos',
  'crops',
  'match',
  'calibration',
  'session',
  'tenant',
  'user',
  'area',
  'grant',
  'software',
  'provisioning_key',
  'edge',
  'recorder',
  'camera',
  'settings',
  'api_key',
  'retention',
  'export',
  'dead_letter',
  'audit',
] as const;

/** An action in words; one without words is shown as it is. */
export function actionName(action: string): string {
  const key = `audit.actions.${action.replaceAll('.', '_')}`;
  return i18n.te(key) ? (i18n.t(key) as string) : action;
}
