import { onAnArea, rows } from './route';

export const tenantsRoutes = rows({
  'POST /api/v1/session': 'public',
  'GET /api/v1/me': 'anyone',
  'GET /api/v1/areas': onAnArea('areas.read'),
  'POST /api/v1/areas': onAnArea('areas.write'),
  'GET /api/v1/areas/:areaId': onAnArea('areas.read'),
  'PATCH /api/v1/areas/:areaId': onAnArea('areas.write'),
  'DELETE /api/v1/areas/:areaId': onAnArea('areas.write'),
  'POST /api/v1/areas/:areaId/move': onAnArea('areas.write'),
  'POST /api/v1/areas/:areaId/merge': onAnArea('areas.write'),
  'GET /api/v1/grants': onAnArea('grants.read'),
  'POST /api/v1/grants': onAnArea('grants.write'),
  'DELETE /api/v1/grants/:grantId': onAnArea('grants.write'),
  'GET /api/v1/audit': 'audit.read',
});
