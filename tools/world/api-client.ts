/** Star's REST interface as the console uses it, for the demo and the end-to-end tests. */

import type {
  Area,
  Camera,
  CoverageRow,
  CreateSearch,
  Edge,
  Match,
  Me,
  PackInUse,
  Page,
  Person,
  Problem,
  ProvisioningKey,
  Recorder,
  Search,
} from '@stardipper/proto';

/** A refusal by Star, with its stable code. */
export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem, what: string) {
    super(
      `${what}: ${problem.status} ${problem.code} ${JSON.stringify(problem.params)}${problem.errors ? ` ${JSON.stringify(problem.errors)}` : ''}`,
    );
    this.problem = problem;
  }
}

export class ApiClient {
  private token = '';
  private renewAtMs = Number.POSITIVE_INFINITY;
  private renew: () => Promise<void> = async () => undefined;
  readonly baseUrl: string;
  constructor(baseUrl: string) {
    this.baseUrl = baseUrl;
  }

  /** As a program does: name and password for a token of five minutes, asked for again in time. */
  async logIn(username: string, password: string): Promise<{ readonly token: string; readonly user: Me }> {
    const takeToken = async () => {
      const response = await fetch(`${this.baseUrl}/realms/star/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', client_id: 'star-cli', username, password }),
        signal: AbortSignal.timeout(60_000),
      });
      const text = await response.text();
      if (!response.ok) throw new ApiError(toProblem(response.status, text), 'log in');
      const answer = JSON.parse(text) as { access_token: string; expires_in: number };
      this.token = answer.access_token;
      this.renewAtMs = Date.now() + (answer.expires_in * 1000) / 2;
    };
    await takeToken();
    this.renew = takeToken;
    return { token: this.token, user: await this.call<Me>('GET', '/me') };
  }

  areas = () => this.all<Area>('/areas');
  createArea = (kind: Area['kind'], name: string, parentId: string | null = null) =>
    this.call<Area>('POST', '/areas', { kind, name, parentId });
  createProvisioningKey = (areaId: string) => this.call<ProvisioningKey>('POST', '/provisioning-keys', { areaId });
  edges = () => this.all<Edge>('/edges');
  recorders = (edgeId: string) => this.all<Recorder>(`/edges/${edgeId}/recorders`);
  createRecorder = (edgeId: string, body: object) => this.call<Recorder>('POST', `/edges/${edgeId}/recorders`, body);
  cameras = () => this.all<Camera>('/cameras');
  packInUse = () => this.call<PackInUse>('GET', '/packs/in-use');
  people = () => this.all<Person>('/people');
  createPerson = (name: string) => this.call<Person>('POST', '/people', { name });
  createSearch = (body: Partial<CreateSearch>) => this.call<Search>('POST', '/searches', body);
  search = (id: string) => this.call<Search>('GET', `/searches/${id}`);
  startSearch = (id: string) => this.call<Search>('POST', `/searches/${id}/start`);
  cancelSearch = (id: string) => this.call<Search>('POST', `/searches/${id}/cancel`);
  deleteSearch = (id: string) => this.call<void>('DELETE', `/searches/${id}`);
  matches = (id: string) => this.all<Match>(`/searches/${id}/matches`);
  coverage = (id: string) => this.all<CoverageRow>(`/searches/${id}/coverage`);

  addPhoto(personId: string, image: Uint8Array, contentType: string): Promise<unknown> {
    return this.call('POST', `/people/${personId}/photos`, image, contentType);
  }

  /** Follows every page of a list. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor ? `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : '';
      const page: Page<T> = await this.call<Page<T>>('GET', `${path}${query}`);
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor);
    return items;
  }

  async call<T>(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<T> {
    if (Date.now() > this.renewAtMs) await this.renew();
    const headers: Record<string, string> = this.token ? { authorization: `Bearer ${this.token}` } : {};
    if (body !== undefined) headers['content-type'] = contentType;
    const response = await fetch(`${this.baseUrl}/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? null : body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiError(toProblem(response.status, text), `${method} ${path}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}

function toProblem(status: number, text: string): Problem {
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { type: 'about:blank', title: text.slice(0, 200), status, code: 'unreadable_answer', params: {}, traceId: '' };
  }
}
