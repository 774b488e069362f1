import { rows } from './route';

export const tenantsRoutes = rows({
  'POST /api/v1/session': 'public',
  'GET /api/v1/me': 'anyone',
  'GET /api/v1/communities': 'areas.read',
  'POST /api/v1/communities': 'areas.write',
  'GET /api/v1/tenants': 'tenants.read',
  'POST /api/v1/tenants': 'tenants.write',
  'GET /api/v1/tenants/:tenantId': 'tenants.read',
  'DELETE /api/v1/tenants/:tenantId': 'tenants.write',
  'POST /api/v1/tenants/:tenantId/enable': 'tenants.write',
  'POST /api/v1/tenants/:tenantId/disable': 'tenants.write',
  'POST /api/v1/tenants/:tenantId/restore': 'tenants.write',
  'POST /api/v1/tenants/:tenantId/export': 'tenants.write',
  'GET /api/v1/tenants/:tenantId/export': 'tenants.write',
  'GET /api/v1/tenants/:tenantId/settings': 'tenants.read',
  'PUT /api/v1/tenants/:tenantId/settings': 'tenants.write',
  'GET /api/v1/tenants/:tenantId/settings/history': 'tenants.read',
  'GET /api/v1/settings': 'settings.read',
  'PUT /api/v1/settings': 'settings.write',
  'GET /api/v1/settings/history': 'settings.read',
  'GET /api/v1/audit': 'audit.read',
});
