import { rows } from './route';

export const tenantsRoutes = rows({
  'POST /api/v1/session': 'public',
  'GET /api/v1/me': 'anyone',
  'GET /api/v1/communities': 'areas.read',
  'POST /api/v1/communities': 'areas.write',
  'GET /api/v1/api-keys': 'keys.read',
  'POST /api/v1/api-keys': 'keys.write',
  'DELETE /api/v1/api-keys/:keyId': 'keys.write',
  'GET /api/v1/audit': 'audit.read',
});
