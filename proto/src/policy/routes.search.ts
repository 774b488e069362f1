import { onAnArea, rows } from './route';

/** The library of people is the whole tenant's: who searches on one area chooses from it, and changes nothing in it. */
export const searchRoutes = rows({
  'GET /api/v1/packs/in-use': onAnArea('software.read'),
  'GET /api/v1/packs/in-use/calibration': 'people.read',
  'GET /api/v1/people': onAnArea('people.read'),
  'POST /api/v1/people': 'people.write',
  'GET /api/v1/people/:personId': onAnArea('people.read'),
  'PATCH /api/v1/people/:personId': 'people.write',
  'DELETE /api/v1/people/:personId': 'people.write',
  'POST /api/v1/people/:personId/photos': 'people.write',
  'DELETE /api/v1/people/:personId/photos/:photoId': 'people.write',
  'GET /api/v1/searches': onAnArea('searches.read'),
  'POST /api/v1/searches': onAnArea('searches.write'),
  'GET /api/v1/searches/:searchId': onAnArea('searches.read'),
  'POST /api/v1/searches/:searchId/start': onAnArea('searches.write'),
  'POST /api/v1/searches/:searchId/cancel': onAnArea('searches.write'),
  'DELETE /api/v1/searches/:searchId': onAnArea('searches.write'),
  'GET /api/v1/searches/:searchId/coverage': onAnArea('searches.read'),
  'GET /api/v1/searches/:searchId/matches': onAnArea('searches.read'),
  'POST /api/v1/searches/:searchId/matches/:matchId/verdict': onAnArea('searches.write'),
  'GET /api/v1/searches/:searchId/events': onAnArea('searches.read'),
});
