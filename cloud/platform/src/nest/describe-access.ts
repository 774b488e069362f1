import type { OpenAPIObject } from '@nestjs/swagger';
import type { AccessOf } from './auth.guard';

const verbs = ['get', 'post', 'put', 'patch', 'delete'] as const;
const problem = (description: string) => ({ description, content: { 'application/problem+json': {} } });

/** Writes into a description what the policy table says: who needs a token or an API key, and with which permission. */
export function describeAccess(document: OpenAPIObject, accessOf: AccessOf): OpenAPIObject {
  document.components = { ...document.components };
  document.components.securitySchemes = {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token of a person, or an API key' },
    apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'An API key' },
  };
  for (const [path, item] of Object.entries(document.paths)) {
    for (const verb of verbs) {
      const operation = item[verb];
      if (!operation) continue;
      const access = accessOf(verb.toUpperCase(), path.replace(/\{(\w+)\}/g, ':$1'));
      if (access === undefined || access === 'public' || access === 'probe') {
        operation.security = [];
        continue;
      }
      // What is open to anyone is about a person who is logged in, and a key is nobody's session.
      operation.security = access === 'anyone' ? [{ bearer: [] }] : [{ bearer: [] }, { apiKey: [] }];
      Object.assign(operation, access === 'anyone' ? {} : { 'x-permission': access });
      operation.responses = {
        ...operation.responses,
        401: problem('Nobody is logged in'),
        ...(access === 'anyone' ? {} : { 403: problem(`Without the permission ${access}`) }),
      };
    }
  }
  return document;
}
