import type { Audit, Cache, Database, FirstTime, Objects, Sagas, Tx, WriteEvent } from '@star/platform';

/** What the identity provider must do for a tenant; of the platform's `IdentityAdmin` the part that is needed here. */
export interface TenantIdentity {
  /** Again with the same tenant and name answers the user that is there. Throws `user.username_taken` when it is another tenant's. */
  createUser(user: {
    readonly tenantId: string;
    readonly username: string;
    readonly displayName: string;
    readonly roles: readonly string[];
    readonly password?: string;
  }): Promise<{ readonly userId: string; readonly created: boolean }>;
  findUser(by: { readonly username: string }): Promise<{ readonly userId: string; readonly tenantId: string } | undefined>;
  listUsers(
    tenantId: string,
    page: { readonly cursor?: string; readonly limit: number },
  ): Promise<{ readonly items: readonly { readonly userId: string }[]; readonly nextCursor: string | null }>;
  /** Nothing happens when there is none. */
  deleteUser(userId: string): Promise<void>;
}

/** The first area of a tenant, made and taken away in the caller's transaction; both may be called again. */
export interface FirstArea {
  createFirstArea(tx: Tx, area: { readonly tenantId: string; readonly areaId: string; readonly name: string }): Promise<void>;
  removeFirstArea(tx: Tx, areaId: string): Promise<void>;
}

export interface TenantLifeDeps {
  readonly database: Database;
  readonly writeEvent: WriteEvent;
  readonly firstTime: FirstTime;
  readonly audit: Audit;
  readonly objects: Pick<Objects, 'put' | 'get' | 'head' | 'delete' | 'list' | 'deleteAll' | 'signedUrl'>;
  readonly cache: Cache;
  readonly identity: TenantIdentity;
  readonly areas: FirstArea;
  /** Makes unreadable what was sealed of the tenant's; again it does nothing. */
  readonly eraseTenantKey: (tenantId: string) => Promise<void>;
  readonly now: () => Date;
}

/** With the sagas that these use cases start. */
export interface WithSagas extends TenantLifeDeps {
  readonly sagas: Sagas;
}

/** Services that keep things of tenants, and so have a part in every opening, export and removal. */
export const partServices = ['devices', 'search'] as const;
export type PartService = (typeof partServices)[number];

/** What the saga that opens a tenant is given. Ids are chosen before the first step, so that a step done twice makes one thing. */
export interface Opening {
  readonly tenantId: string;
  readonly name: string;
  readonly areaId: string;
  readonly areaName: string;
  readonly admin: { readonly username: string; readonly displayName: string };
  /** Without an id: Star itself, at its first start. */
  readonly openedBy: { readonly userId?: string; readonly username: string };
}
