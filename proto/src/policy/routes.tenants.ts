import { rows } from './route';

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
  'GET /api/v1/communities': 'areas.read',
  'POST /api/v1/communities': 'areas.write',
  'GET /api/v1/audit': 'audit.read',
});
