import { Controller, Delete, Get, HttpCode, Inject, Patch, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { changeUser, createdUser, createUser, me, page, temporaryPassword, user, uuid } from '@stardipper/proto';
import { z } from 'zod';
import type { Tenants } from '../create-tenants';
import { TENANTS } from '../tenants.token';

const usersQuery = z.strictObject({ cursor: z.string().max(512).optional(), limit: z.coerce.number().int().min(1).max(200).default(50) });

@Controller('api/v1/me')
export class MeController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get()
  @ZodAnswer(me)
  me(@CurrentCaller() caller: Caller) {
    return this.tenants.whoAmI(caller);
  }

  @Delete('sessions')
  @HttpCode(204)
  endOwnSessions(@CurrentCaller() caller: Caller) {
    return this.tenants.endOwnSessions(caller);
  }
}

@Controller('api/v1/users')
export class UsersController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get()
  @ZodAnswer(page(user))
  list(@CurrentCaller() caller: Caller, @ZodQuery(usersQuery) query: z.infer<typeof usersQuery>) {
    return this.tenants.readUsers(caller, query);
  }

  @Post()
  @ZodAnswer(createdUser, 201)
  create(@CurrentCaller() caller: Caller, @ZodBody(createUser) input: z.infer<typeof createUser>) {
    return this.tenants.createUser(caller, input);
  }

  @Get(':userId')
  @ZodAnswer(user)
  read(@CurrentCaller() caller: Caller, @ZodParam('userId', uuid) userId: string) {
    return this.tenants.readUser(caller, userId);
  }

  @Patch(':userId')
  @ZodAnswer(user)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('userId', uuid) userId: string,
    @ZodBody(changeUser) input: z.infer<typeof changeUser>,
  ) {
    return this.tenants.changeUser(caller, userId, input);
  }

  @Delete(':userId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('userId', uuid) userId: string) {
    return this.tenants.deleteUser(caller, userId);
  }

  @Post(':userId/password')
  @HttpCode(200)
  @ZodAnswer(temporaryPassword)
  resetPassword(@CurrentCaller() caller: Caller, @ZodParam('userId', uuid) userId: string) {
    return this.tenants.resetPassword(caller, userId);
  }

  @Delete(':userId/second-factor')
  @HttpCode(204)
  resetSecondFactor(@CurrentCaller() caller: Caller, @ZodParam('userId', uuid) userId: string) {
    return this.tenants.resetSecondFactor(caller, userId);
  }

  @Delete(':userId/sessions')
  @HttpCode(204)
  endSessions(@CurrentCaller() caller: Caller, @ZodParam('userId', uuid) userId: string) {
    return this.tenants.endSessions(caller, userId);
  }
}
