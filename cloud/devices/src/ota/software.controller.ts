import type { IncomingMessage } from 'node:http';
import { Controller, Delete, Get, HttpCode, Inject, Post, Put, Req } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import * as api from '@stardipper/proto';
import { z } from 'zod';
import type { Devices } from '../create-devices';
import { devicesErrors } from '../devices.errors';
import { DEVICES } from '../devices.token';

/** What a package may come as; the module lets these bodies through unread. */
export const packageTypes = ['application/gzip', 'application/x-gzip', 'application/octet-stream'];

const id = api.uuid;
const cursor = z.string().max(128).optional();
const limit = z.coerce.number().int().min(1).max(200).default(50);
const pageQuery = z.strictObject({ cursor, limit });
const edgesQuery = z.strictObject({ cursor, limit, state: z.enum([...api.softwareStates, 'none']).optional() });

/** Operators look at which boxes have what; administrators bring packages in and assign them. */
@Controller('api/v1/software')
export class SoftwareController {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @Post('packages')
  @ApiConsumes(...packageTypes)
  @ZodAnswer(api.softwarePackage, 201)
  upload(
    @CurrentCaller() caller: Caller,
    @ZodQuery(api.uploadSoftware) query: z.infer<typeof api.uploadSoftware>,
    @Req() { raw }: { raw: IncomingMessage },
  ) {
    const type = raw.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
    if (!packageTypes.some((allowed) => allowed === type))
      throw devicesErrors.error('software.type_unsupported', { allowed: packageTypes });
    const length = raw.headers['content-length'];
    // Kept alive when it is refused in the middle, for the answer to get out.
    const body = raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    return this.devices.uploadPackage(caller, query, body, length === undefined ? undefined : Number(length));
  }

  @Get('packages')
  @ZodAnswer(api.page(api.softwarePackage))
  packages(@CurrentCaller() caller: Caller, @ZodQuery(pageQuery) query: z.infer<typeof pageQuery>) {
    return this.devices.readPackages(caller.tenantId, query);
  }

  @Get('packages/:packageId')
  @ZodAnswer(api.softwarePackage)
  package(@CurrentCaller() caller: Caller, @ZodParam('packageId', id) packageId: string) {
    return this.devices.readPackage(caller.tenantId, packageId);
  }

  @Delete('packages/:packageId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('packageId', id) packageId: string) {
    return this.devices.removePackage(caller, packageId);
  }

  @Get('assignment')
  @ZodAnswer(api.softwareAssignment)
  assignment(@CurrentCaller() caller: Caller) {
    return this.devices.readAssignment(caller.tenantId);
  }

  @Put('assignment')
  @ZodAnswer(api.softwareAssignment)
  assign(@CurrentCaller() caller: Caller, @ZodBody(api.assignSoftware) input: z.infer<typeof api.assignSoftware>) {
    return this.devices.assignSoftware(caller, input.packageId);
  }

  @Delete('assignment')
  @HttpCode(204)
  unassign(@CurrentCaller() caller: Caller) {
    return this.devices.unassignSoftware(caller);
  }

  @Get('edges')
  @ZodAnswer(api.page(api.edgeSoftware))
  edges(@CurrentCaller() caller: Caller, @ZodQuery(edgesQuery) query: z.infer<typeof edgesQuery>) {
    return this.devices.readEdgesSoftware(caller.tenantId, query, query);
  }

  @Get('edges/:edgeId')
  @ZodAnswer(api.edgeSoftware)
  edge(@CurrentCaller() caller: Caller, @ZodParam('edgeId', id) edgeId: string) {
    return this.devices.readEdgeSoftware(caller.tenantId, edgeId);
  }
}
