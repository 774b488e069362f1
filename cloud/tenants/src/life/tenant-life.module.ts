import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { SettingsController } from '../settings/settings.controller';
import type { TenantLife } from './create-tenant-life';
import { TenantLifeConsumer } from './tenant-life.consumer';
import { TenantLifeController } from './tenant-life.controller';
import { TENANT_LIFE } from './tenant-life.token';

/** HTTP, consumer, and the sagas for as long as the application lives. */
@Module({})
export class TenantLifeModule implements OnModuleInit, OnModuleDestroy {
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(@Inject(TENANT_LIFE) private readonly life: TenantLife) {}

  static forRoot(life: TenantLife): DynamicModule {
    return {
      module: TenantLifeModule,
      controllers: [TenantLifeController, SettingsController, TenantLifeConsumer],
      providers: [{ provide: TENANT_LIFE, useValue: life }],
    };
  }

  onModuleInit(): void {
    this.#running = this.life.run(this.#stopping.signal);
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}
