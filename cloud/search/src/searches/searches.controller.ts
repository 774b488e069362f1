import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { Controller, Delete, Get, Header, Headers, HttpCode, Inject, Post, Req, StreamableFile } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, StillLetIn, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { coverageRow, coverageTotals, createSearch, uuid as id, match, page, search as searchAnswer, setVerdict } from '@stardipper/proto';
import { z } from 'zod';
import type { SearchService } from '../create-search';
import { SEARCH } from '../search.token';

const cursor = z.string().max(512).optional();
const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);
const time = z.iso.datetime({ offset: true });
const searchesQuery = z.strictObject({ cursor, limit: limit(50, 20) });
const coverageQuery = z.strictObject({ cursor, limit: limit(2_000, 500), cameraId: id.optional() });
const matchesQuery = z.strictObject({
  cursor,
  limit: limit(200, 50),
  personId: id.optional(),
  cameraId: id.optional(),
  minScore: z.coerce.number().min(0).max(1).optional(),
  from: time.optional(),
  to: time.optional(),
});
const matchId = z
  .string()
  .max(160)
  .regex(/^[\w.:-]+$/);

@Controller('api/v1/searches')
export class SearchesController {
  constructor(@Inject(SEARCH) private readonly search: SearchService) {}

  @Get()
  @ZodAnswer(page(searchAnswer))
  list(@CurrentCaller() caller: Caller, @ZodQuery(searchesQuery) query: z.infer<typeof searchesQuery>) {
    return this.search.readSearches(caller, query);
  }

  @Post()
  @ZodAnswer(searchAnswer, 201)
  draft(
    @CurrentCaller() caller: Caller,
    @ZodBody(createSearch) input: z.infer<typeof createSearch>,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
  ) {
    return this.search.draftSearch(caller, input, idempotencyKey);
  }

  @Get(':searchId')
  @ZodAnswer(searchAnswer)
  get(@CurrentCaller() caller: Caller, @ZodParam('searchId', id) searchId: string) {
    return this.search.readSearch(caller, searchId);
  }

  @Post(':searchId/start')
  @HttpCode(200)
  @ZodAnswer(searchAnswer)
  start(@CurrentCaller() caller: Caller, @ZodParam('searchId', id) searchId: string) {
    return this.search.startSearch(caller, searchId);
  }

  @Post(':searchId/cancel')
  @HttpCode(200)
  @ZodAnswer(searchAnswer)
  cancel(@CurrentCaller() caller: Caller, @ZodParam('searchId', id) searchId: string) {
    return this.search.cancelSearch(caller, searchId);
  }

  @Delete(':searchId')
  @HttpCode(204)
  delete(@CurrentCaller() caller: Caller, @ZodParam('searchId', id) searchId: string) {
    return this.search.deleteSearch(caller, searchId);
  }

  @Get(':searchId/coverage')
  @ZodAnswer(page(coverageRow).extend({ totals: coverageTotals }))
  coverage(
    @CurrentCaller() caller: Caller,
    @ZodParam('searchId', id) searchId: string,
    @ZodQuery(coverageQuery) query: z.infer<typeof coverageQuery>,
  ) {
    return this.search.readCoverage(caller, searchId, query);
  }

  @Get(':searchId/matches')
  @ZodAnswer(page(match))
  matches(
    @CurrentCaller() caller: Caller,
    @ZodParam('searchId', id) searchId: string,
    @ZodQuery(matchesQuery) query: z.infer<typeof matchesQuery>,
  ) {
    const { from, to, ...rest } = query;
    return this.search.readMatches(caller, searchId, {
      ...rest,
      ...(from && { fromMs: Date.parse(from) }),
      ...(to && { toMs: Date.parse(to) }),
    });
  }

  @Post(':searchId/matches/:matchId/verdict')
  @HttpCode(200)
  @ZodAnswer(match)
  judge(
    @CurrentCaller() caller: Caller,
    @ZodParam('searchId', id) searchId: string,
    @ZodParam('matchId', matchId) judged: string,
    @ZodBody(setVerdict) input: z.infer<typeof setVerdict>,
  ) {
    return this.search.setVerdict(caller, searchId, judged, input.verdict);
  }

  @Get(':searchId/events')
  @Header('x-accel-buffering', 'no')
  async follow(
    @CurrentCaller() caller: Caller,
    @StillLetIn() stillLetIn: () => Promise<void>,
    @ZodParam('searchId', id) searchId: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: { raw: IncomingMessage },
  ) {
    const gone = new AbortController();
    const events = await this.search.followSearch(caller, searchId, lastEventId, gone.signal, stillLetIn);
    // A stream over the generator: it is asked for the next piece only when the reader has taken the last.
    const stream = Readable.from(events, { objectMode: false });
    const end = () => gone.abort();
    stream.once('close', end);
    request.raw.socket.once('close', end);
    if (request.raw.socket.destroyed) end();
    stream.once('close', () => request.raw.socket.off('close', end));
    return new StreamableFile(stream, { type: 'text/event-stream; charset=utf-8' });
  }
}
