import { rows } from './route';

export const searchRoutes = rows({
  'GET /api/v1/packs/in-use': 'software.read',
  'GET /api/v1/packs/in-use/calibration': 'people.read',
  'GET /api/v1/people': 'people.read',
  'POST /api/v1/people': 'people.write',
  'GET /api/v1/people/:personId': 'people.read',
  'PATCH /api/v1/people/:personId': 'people.write',
  'DELETE /api/v1/people/:personId': 'people.write',
  'POST /api/v1/people/:personId/photos': 'people.write',
  'DELETE /api/v1/people/:personId/photos/:photoId': 'people.write',
  'GET /api/v1/searches': 'searches.read',
  'POST /api/v1/searches': 'searches.write',
  'GET /api/v1/searches/:searchId': 'searches.read',
  'POST /api/v1/searches/:searchId/start': 'searches.write',
  'POST /api/v1/searches/:searchId/cancel': 'searches.write',
  'DELETE /api/v1/searches/:searchId': 'searches.write',
  'GET /api/v1/searches/:searchId/coverage': 'searches.read',
  'GET /api/v1/searches/:searchId/matches': 'searches.read',
  'POST /api/v1/searches/:searchId/matches/:matchId/verdict': 'searches.write',
  'GET /api/v1/searches/:searchId/events': 'searches.read',
});
