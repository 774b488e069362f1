import { Controller, Delete, Get, HttpCode, Inject, Patch, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import * as api from '@stardipper/proto';
import { z } from 'zod';
import type { Devices } from './create-devices';
import { DEVICES } from './devices.token';

const id = api.uuid;
const cursor = z.string().max(128).optional();
const limit = z.coerce.number().int().min(1).max(200).default(50);
const pageQuery = z.strictObject({ cursor, limit });
const edgesQuery = z.strictObject({ cursor, limit, areaId: id.optional() });
const camerasQuery = z.strictObject({ cursor, limit, areaId: id.optional(), edgeId: id.optional() });

/** Everybody of a tenant may look at what there is; what changes it, and the keys that let a box in, are its administrators'. */
@Controller('api/v1/provisioning-keys')
export class ProvisioningKeysController {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @Post()
  @ZodAnswer(api.provisioningKey, 201)
  create(@CurrentCaller() caller: Caller, @ZodBody(api.createProvisioningKey) input: z.infer<typeof api.createProvisioningKey>) {
    return this.devices.issueProvisioningKey(caller, input.areaId);
  }

  @Get()
  @ZodAnswer(api.page(api.provisioningKey))
  list(@CurrentCaller() caller: Caller, @ZodQuery(pageQuery) query: z.infer<typeof pageQuery>) {
    return this.devices.readProvisioningKeys(caller, query);
  }

  @Get('refusals')
  @ZodAnswer(api.page(api.refusedEdge))
  refusals(@CurrentCaller() caller: Caller) {
    return this.devices.readRefusedEdges(caller);
  }

  @Delete(':keyId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('keyId', id) keyId: string) {
    return this.devices.removeProvisioningKey(caller, keyId);
  }
}

@Controller('api/v1/edges')
export class EdgesController {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @Get()
  @ZodAnswer(api.page(api.edge))
  list(@CurrentCaller() caller: Caller, @ZodQuery(edgesQuery) query: z.infer<typeof edgesQuery>) {
    return this.devices.readEdges(caller, query, query);
  }

  @Get(':edgeId')
  @ZodAnswer(api.edge)
  get(@CurrentCaller() caller: Caller, @ZodParam('edgeId', id) edgeId: string) {
    return this.devices.readEdge(caller, edgeId);
  }

  @Patch(':edgeId')
  @ZodAnswer(api.edge)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('edgeId', id) edgeId: string,
    @ZodBody(api.patchEdge) input: z.infer<typeof api.patchEdge>,
  ) {
    return this.devices.changeEdge(caller, edgeId, input);
  }

  @Delete(':edgeId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('edgeId', id) edgeId: string) {
    return this.devices.removeEdge(caller, edgeId);
  }

  @Get(':edgeId/rpc')
  @ZodAnswer(api.page(api.edgeRpc))
  rpcs(@CurrentCaller() caller: Caller, @ZodParam('edgeId', id) edgeId: string, @ZodQuery(pageQuery) query: z.infer<typeof pageQuery>) {
    return this.devices.readEdgeRpcs(caller, edgeId, query);
  }

  @Post(':edgeId/recorders')
  @ZodAnswer(api.recorder, 201)
  addRecorder(
    @CurrentCaller() caller: Caller,
    @ZodParam('edgeId', id) edgeId: string,
    @ZodBody(api.createRecorder) input: z.infer<typeof api.createRecorder>,
  ) {
    return this.devices.addRecorder(caller, edgeId, input);
  }

  @Get(':edgeId/recorders')
  @ZodAnswer(api.page(api.recorder))
  recorders(
    @CurrentCaller() caller: Caller,
    @ZodParam('edgeId', id) edgeId: string,
    @ZodQuery(pageQuery) query: z.infer<typeof pageQuery>,
  ) {
    return this.devices.readRecorders(caller, edgeId, query);
  }
}

@Controller('api/v1/recorders')
export class RecordersController {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @Get(':recorderId')
  @ZodAnswer(api.recorder)
  get(@CurrentCaller() caller: Caller, @ZodParam('recorderId', id) recorderId: string) {
    return this.devices.readRecorder(caller, recorderId);
  }

  @Patch(':recorderId')
  @ZodAnswer(api.recorder)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('recorderId', id) recorderId: string,
    @ZodBody(api.patchRecorder) input: z.infer<typeof api.patchRecorder>,
  ) {
    return this.devices.changeRecorder(caller, recorderId, input);
  }

  @Delete(':recorderId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('recorderId', id) recorderId: string) {
    return this.devices.removeRecorder(caller, recorderId);
  }
}

@Controller('api/v1/cameras')
export class CamerasController {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @Get()
  @ZodAnswer(api.page(api.camera))
  list(@CurrentCaller() caller: Caller, @ZodQuery(camerasQuery) query: z.infer<typeof camerasQuery>) {
    return this.devices.readCameras(caller, query, query);
  }

  @Patch(':cameraId')
  @ZodAnswer(api.camera)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('cameraId', id) cameraId: string,
    @ZodBody(api.patchCamera) input: z.infer<typeof api.patchCamera>,
  ) {
    return this.devices.changeCamera(caller, cameraId, input);
  }
}
