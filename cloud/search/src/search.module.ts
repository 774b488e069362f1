import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { leaveBodiesUnread } from '@star/platform/nest';
import { ApprovalsController } from './approvals/approvals.controller';
import type { SearchService } from './create-search';
import { PacksController } from './packs/packs.controller';
import { PeopleController } from './people/people.controller';
import { photoTypes } from './people/photo-check';
import { SearchConsumer } from './search.consumer';
import { SEARCH } from './search.token';
import { SearchesController } from './searches/searches.controller';

@Module({})
export class SearchModule implements OnModuleInit, OnModuleDestroy {
  readonly #stopping = new AbortController();

  constructor(
    @Inject(SEARCH) private readonly search: SearchService,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  /** `consume: false` for a replica that only answers HTTP. */
  static forRoot(search: SearchService, options: { consume?: boolean } = {}): DynamicModule {
    return {
      module: SearchModule,
      controllers: [
        PeopleController,
        PacksController,
        SearchesController,
        ApprovalsController,
        ...(options.consume === false ? [] : [SearchConsumer]),
      ],
      providers: [{ provide: SEARCH, useValue: search }],
    };
  }

  async onModuleInit(): Promise<void> {
    leaveBodiesUnread(this.host, photoTypes);
    await this.search.run(this.#stopping.signal);
  }

  onModuleDestroy(): void {
    this.#stopping.abort();
  }
}
