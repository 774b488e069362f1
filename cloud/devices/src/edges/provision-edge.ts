import { randomUUID } from 'node:crypto';
import {
  AppError,
  type Audit,
  type Database,
  isUniqueViolation,
  type LimitsOf,
  type Log,
  requireRoom,
  type WriteEvent,
} from '@star/platform';
import { z } from 'zod';
import { type AreasPort, holdEdgeArea } from '../areas';
import { requireOpenCustomer } from '../customers/follow-tenant';
import { BadPayload } from '../hub/payloads';
import { queueNewEdge } from '../ota/assign-software';
import { type Credentials, hashPassword, lookupHashOf, randomText, sameSecret } from './credentials';
import type { EdgeIdentity } from './edge';
import { countEdges, findEdgeByName, insertEdge } from './edge.store';
import { findProvisioningKey } from './provisioning-key.store';
import { forgetRefusal, keepRefusal, type Refusal } from './refused-edge.store';

export interface ProvisionDeps extends AreasPort {
  readonly limitsOf: LimitsOf;
  readonly db: Database;
  readonly writeEvent: WriteEvent;
  readonly audit: Audit;
  readonly log: Log;
}

const text = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => !value.includes('\0'));
const requestSchema = z.object({
  provisionDeviceKey: z.string().min(1).max(256),
  provisionDeviceSecret: z.string().min(1).max(256),
  deviceName: text(255).nullish(),
  credentialsType: z.enum(['ACCESS_TOKEN', 'MQTT_BASIC', 'X509_CERTIFICATE']).nullish(),
  token: text(128).nullish(),
  clientId: text(256).nullish(),
  username: text(256).nullish(),
  password: text(256).nullish(),
});
type ProvisionRequest = z.infer<typeof requestSchema>;

const notFound = { status: 'NOT_FOUND', errorMsg: 'Provision data was not found!' } as const;
const failure = { status: 'FAILURE', errorMsg: 'Failed to provision device!' } as const;

/**
 * A box with a provisioning key becomes an edge in the key's area. Answers what ThingsBoard answers; one that the tenant's
 * quota has no room for is told so in `errorMsg` and shown to operators. The same
 * request with the same chosen credentials succeeds again: the box that lost the answer must not lose its name too.
 * Throws BadPayload when the key or the secret is missing.
 */
export const provisionEdge =
  (deps: ProvisionDeps) =>
  async (input: unknown): Promise<unknown> => {
    const { db, writeEvent, log } = deps;
    const parsed = requestSchema.safeParse(input);
    if (!parsed.success) {
      const keyed = z.object({ provisionDeviceKey: z.string().min(1), provisionDeviceSecret: z.string().min(1) }).safeParse(input).success;
      if (keyed) return failure;
      throw new BadPayload('provisionDeviceKey and provisionDeviceSecret are needed');
    }
    const request = parsed.data;
    const key = await db.system('provisioning', (tx) => findProvisioningKey(tx, request.provisionDeviceKey));
    if (!key || !sameSecret(request.provisionDeviceSecret, key.secretHash)) return notFound;
    await requireOpenCustomer(db, key.tenantId);
    const credentials = chooseCredentials(request);
    if (!credentials) return failure;
    const { tenantId } = key;
    const name = request.deviceName || randomText(20);
    const limits = await deps.limitsOf(tenantId);
    const lookupHash = lookupHashOf(credentials);
    const basic = credentials.kind === 'MQTT_BASIC' ? credentials : undefined;
    const passwordHash = basic?.password ? await hashPassword(basic.password) : null;
    try {
      const edge = await db.tenant(tenantId, async (tx) => {
        const area = await holdEdgeArea(deps, tx, key.areaId);
        const edge: EdgeIdentity = { id: randomUUID(), tenantId, areaId: area.id, name };
        // A name that is there already asks for no room: it is a box that lost its answer, or is refused for its name.
        if (await findEdgeByName(tx, name)) throw new NameIsThere();
        await requireRoom(tx, tenantId, 'edges', limits.edges, () => countEdges(tx, tenantId));
        await insertEdge(tx, edge, {
          kind: credentials.kind,
          lookupHash,
          clientId: basic?.clientId ?? null,
          userName: basic?.userName ?? null,
          passwordHash,
        });
        await queueNewEdge(tx, edge);
        await writeEvent(tx, {
          topic: 'device.registered.v1',
          key: edge.id,
          tenantId: edge.tenantId,
          message: { edgeId: edge.id, name: edge.name, areaId: edge.areaId },
        });
        // As programs with an API key are named: a box is no user.
        await deps.audit(tx, {
          tenantId,
          userId: edge.id,
          username: `edge:${name}`,
          action: 'edge.registered',
          subject: edge.id,
          after: { name, areaId: edge.areaId },
          details: { provisioningKeyId: key.id },
        });
        await forgetRefusal(tx, tenantId, name);
        return edge;
      });
      log.info({ edgeId: edge.id, tenantId, name }, 'an edge registered itself');
    } catch (error) {
      if (error instanceof AppError && !error.retry)
        return refuse(deps, tenantId, { name, areaId: key.areaId, code: error.code, params: error.params });
      if (!(error instanceof NameIsThere) && !isUniqueViolation(error)) throw error;
      const known = await db.tenant(tenantId, (tx) => findEdgeByName(tx, name));
      const repeated = known?.lookupHash?.equals(lookupHash) === true && !basic?.password;
      if (!repeated) return failure;
    }
    return success(credentials);
  };

/** Ends the transaction that would have made an edge of a name that is there. */
class NameIsThere extends Error {}

/** The box's log and the operators' list say the same. */
async function refuse({ db, log }: ProvisionDeps, tenantId: string, refusal: Refusal): Promise<unknown> {
  await db.tenant(tenantId, (tx) => keepRefusal(tx, tenantId, refusal));
  log.warn({ tenantId, name: refusal.name, code: refusal.code }, 'an edge was refused');
  const details = Object.entries(refusal.params).map(([param, value]) => `${param} ${String(value)}`);
  return { status: 'FAILURE', errorMsg: [refusal.code, ...details].join(', ') };
}

/** Undefined when they cannot be used: X.509 without TLS, basic without anything. */
function chooseCredentials(request: ProvisionRequest): Credentials | undefined {
  switch (request.credentialsType ?? 'ACCESS_TOKEN') {
    case 'ACCESS_TOKEN':
      return { kind: 'ACCESS_TOKEN', token: request.token || randomText(20) };
    case 'MQTT_BASIC': {
      const [clientId, userName, password] = [request.clientId, request.username, request.password].map((value) => value || undefined);
      return clientId || userName ? { kind: 'MQTT_BASIC', clientId, userName, password } : undefined;
    }
    default:
      return undefined;
  }
}

function success(credentials: Credentials): unknown {
  const { kind } = credentials;
  if (kind === 'ACCESS_TOKEN') return { status: 'SUCCESS', credentialsType: kind, credentialsValue: credentials.token };
  const { clientId, userName, password } = credentials;
  return {
    status: 'SUCCESS',
    credentialsType: kind,
    credentialsValue: { clientId: clientId ?? null, userName: userName ?? null, password: password ?? null },
  };
}
