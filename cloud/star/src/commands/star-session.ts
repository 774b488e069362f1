import { oidcClients } from '@star/platform';
import { problem } from '@stardipper/proto';
import { z } from 'zod';
import type { CommandSettings } from './command';

/** How commands that go through the API find Star and log in. */
export const apiSettings = z.object({
  STAR_URL: z.url().default('http://127.0.0.1:8080'),
  /** A token; or name and password of a user. */
  STAR_TOKEN: z.string().optional(),
  STAR_USER: z.string().default('platform'),
  STAR_PASSWORD: z.string().optional(),
});

export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    params: Readonly<Record<string, unknown>>,
  ) {
    super(Object.keys(params).length === 0 ? code : `${code} ${JSON.stringify(params)}`);
  }
}

export interface StarSession {
  /** Throws ApiProblem for what Star refuses. */
  call<S extends z.ZodType>(method: string, path: string, answer: S, body?: unknown): Promise<z.infer<S>>;
  /** Of a signed address. */
  download(url: string): Promise<Response>;
}

/** Logs in when it is first needed. The only place that knows how a program gets its token. */
export function openStarSession(settings: Pick<CommandSettings, keyof z.infer<typeof apiSettings>>): StarSession {
  const address = (path: string) => new URL(`/api/v1${path}`, settings.STAR_URL);
  let token = settings.STAR_TOKEN;
  const logInOnce = async (): Promise<string> => {
    if (settings.STAR_PASSWORD === undefined) throw new Error('set STAR_TOKEN, or STAR_USER and STAR_PASSWORD');
    const about = await fetch(new URL('/console.json', settings.STAR_URL));
    const { issuer } = z.object({ issuer: z.url() }).parse(await answered(about));
    const credentials = { username: settings.STAR_USER, password: settings.STAR_PASSWORD };
    const answer = await fetch(`${issuer}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password', client_id: oidcClients.cli, scope: 'openid', ...credentials }),
    });
    if (answer.status === 400 || answer.status === 401) throw new ApiProblem(401, 'session.refused', {});
    return z.object({ access_token: z.string() }).parse(await answered(answer)).access_token;
  };
  return {
    call: async (method, path, schema, body) => {
      token ??= await logInOnce();
      const answer = await fetch(address(path), {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return schema.parse(await answered(answer)) as z.infer<typeof schema>;
    },
    download: async (url) => {
      const answer = await fetch(url);
      if (!answer.ok) await answered(answer);
      return answer;
    },
  };
}

async function answered(answer: Response): Promise<unknown> {
  const body: unknown = await answer.json().catch(() => undefined);
  if (answer.ok) return body;
  const told = problem.safeParse(body);
  throw new ApiProblem(answer.status, told.data?.code ?? `http ${answer.status}`, told.data?.params ?? {});
}
