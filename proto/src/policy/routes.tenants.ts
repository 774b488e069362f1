import { onAnArea, rows } from './route';

export const tenantsRoutes = rows({
  // The identity provider: log-in, tokens, keys, log-out and the account page. It asks for what it needs by itself.
  'GET /realms/star/*': 'public',
  'POST /realms/star/*': 'public',
  'GET /api/v1/me': 'anyone',
  'DELETE /api/v1/me/sessions': 'anyone',
  'GET /api/v1/users': 'users.read',
  'POST /api/v1/users': 'users.write',
  'GET /api/v1/users/:userId': 'users.read',
  'PATCH /api/v1/users/:userId': 'users.write',
  'DELETE /api/v1/users/:userId': 'users.write',
  'POST /api/v1/users/:userId/password': 'users.write',
  'DELETE /api/v1/users/:userId/second-factor': 'users.write',
  'DELETE /api/v1/users/:userId/sessions': 'users.write',
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
