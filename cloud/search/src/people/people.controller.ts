import type { IncomingMessage } from 'node:http';
import { Controller, Delete, Get, HttpCode, Inject, Patch, Post, Req } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { createPerson, uuid as id, page, person, personDeletion } from '@stardipper/proto';
import { z } from 'zod';
import type { SearchService } from '../create-search';
import { SEARCH } from '../search.token';
import { readPhoto } from './photo-body';

const changePerson = z.strictObject({ name: createPerson.shape.name.optional(), note: z.string().max(2000).optional() });
const peopleQuery = z.strictObject({ cursor: z.string().max(512).optional(), limit: z.coerce.number().int().min(1).max(50).default(20) });

@Controller('api/v1/people')
export class PeopleController {
  constructor(@Inject(SEARCH) private readonly search: SearchService) {}

  @Get()
  @ZodAnswer(page(person))
  list(@CurrentCaller() caller: Caller, @ZodQuery(peopleQuery) query: z.infer<typeof peopleQuery>) {
    return this.search.getPeople(caller, query);
  }

  @Post()
  @ZodAnswer(person, 201)
  create(@CurrentCaller() caller: Caller, @ZodBody(createPerson) input: z.infer<typeof createPerson>) {
    return this.search.createPerson(caller, input);
  }

  @Get('deletions')
  @ZodAnswer(page(personDeletion))
  deletions(@CurrentCaller() caller: Caller, @ZodQuery(peopleQuery) query: z.infer<typeof peopleQuery>) {
    return this.search.readDeletions(caller, query);
  }

  @Get(':personId/deletion')
  @ZodAnswer(personDeletion)
  deletion(@CurrentCaller() caller: Caller, @ZodParam('personId', id) personId: string) {
    return this.search.readDeletion(caller, personId);
  }

  @Get(':personId')
  @ZodAnswer(person)
  get(@CurrentCaller() caller: Caller, @ZodParam('personId', id) personId: string) {
    return this.search.getPerson(caller, personId);
  }

  @Patch(':personId')
  @ZodAnswer(person)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('personId', id) personId: string,
    @ZodBody(changePerson) input: z.infer<typeof changePerson>,
  ) {
    return this.search.changePerson(caller, personId, input);
  }

  @Delete(':personId')
  @HttpCode(204)
  delete(@CurrentCaller() caller: Caller, @ZodParam('personId', id) personId: string) {
    return this.search.deletePerson(caller, personId);
  }

  @Post(':personId/photos')
  @ApiConsumes('image/jpeg', 'image/png', 'image/webp')
  @ZodAnswer(person, 201)
  async addPhoto(@CurrentCaller() caller: Caller, @ZodParam('personId', id) personId: string, @Req() request: { raw: IncomingMessage }) {
    return this.search.addPhoto(caller, personId, await readPhoto(request.raw));
  }

  @Delete(':personId/photos/:photoId')
  @HttpCode(204)
  deletePhoto(@CurrentCaller() caller: Caller, @ZodParam('personId', id) personId: string, @ZodParam('photoId', id) photoId: string) {
    return this.search.deletePhoto(caller, personId, photoId);
  }
}
