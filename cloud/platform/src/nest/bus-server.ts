import { type ArgumentsHost, Catch, type INestApplication, type INestMicroservice, type RpcExceptionFilter } from '@nestjs/common';
import {
  BaseRpcContext,
  type CustomTransportStrategy,
  EventPattern,
  type MessageHandler,
  type NestMicroservice,
  Server,
} from '@nestjs/microservices';
import { type Topic, topics } from '@stardipper/proto';
import { lastValueFrom, type Observable, throwError } from 'rxjs';
import type { Bus, BusRecord, RetryOptions, Subscription } from '../bus/bus';

export const busTransport = Symbol('star.bus');

export interface BusServerOptions extends RetryOptions {
  readonly bus: Bus;
  /** The consumer group of handlers that name none: one per service. */
  readonly group: string;
  /** Told of every try at a record, for metrics; `seconds` since it happened, as its writer's clock says. */
  readonly onHandled?: (topic: Topic, group: string, outcome: 'handled' | 'failed', seconds: number) => void;
}

interface Handler {
  readonly topic: Topic;
  readonly group: string;
  /** Takes several records at once. */
  readonly batches: boolean;
  readonly handle: MessageHandler;
}

/**
 * With 200 a search over 1,000 boxes is accepted no sooner, boxes wait longer for their turn in a burst of calls, and a
 * poisonous record makes more others go one by one.
 */
const maxBatch = 50;

/** Marks a controller's method as the handler of a topic, typed; `group` only where several services share one Nest application. */
export const OnEvent = (topic: Topic, group?: string): MethodDecorator =>
  EventPattern(topic, busTransport, group === undefined ? {} : { group });

/**
 * The same for a method that takes what has gathered in a partition, at most 50 records, of any tenants: BusRecord[].
 * When it goes on rejecting it gets them one by one.
 */
export const OnEvents = (topic: Topic, group?: string): MethodDecorator =>
  EventPattern(topic, busTransport, { batches: true, ...(group !== undefined && { group }) });

/**
 * Feeds `@EventPattern` handlers from a bus, whichever it is. A handler gets the BusRecord, or several; when its promise
 * rejects the record is delivered again, as `SubscribeOptions` say. Several handlers of one topic in one group run one after the
 * other and are repeated together, so each needs its own inbox name.
 */
export class BusServer extends Server implements CustomTransportStrategy {
  override transportId = busTransport;
  readonly #handlers: Handler[] = [];
  #subscriptions: Subscription[] = [];

  constructor(private readonly options: BusServerOptions) {
    super();
  }

  /** Kept here rather than in Nest's map, which would chain the handlers of two services on one topic into one. */
  override addHandler(pattern: unknown, callback: MessageHandler, isEventHandler = false, extras: Record<string, unknown> = {}): void {
    if (!isEventHandler || typeof pattern !== 'string' || !Object.hasOwn(topics, pattern))
      throw new Error(`not a topic of the bus: ${JSON.stringify(pattern)}`);
    const group = typeof extras.group === 'string' ? extras.group : this.options.group;
    this.#handlers.push({ topic: pattern as Topic, group, batches: extras.batches === true, handle: callback });
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      const { bus, group: _, onHandled: __, ...retry } = this.options;
      for (const group of new Set(this.#handlers.map((handler) => handler.group))) {
        const handlers = this.#handlers.filter((handler) => handler.group === group);
        const subscribed = [...new Set(handlers.map((handler) => handler.topic))];
        this.#subscriptions.push(
          await bus.subscribeBatches({
            ...retry,
            group,
            topics: subscribed,
            // One subscription for both kinds: Kafka wants the members of a group to have the same topics.
            maxBatch: (topic) => (handlers.every((handler) => handler.topic !== topic || handler.batches) ? maxBatch : 1),
            handleBatch: (records) => this.#measured(group, records, this.#dispatch(handlers, records)),
          }),
        );
      }
      callback();
    } catch (error) {
      callback(error);
    }
  }

  async #measured(group: string, records: readonly BusRecord[], work: Promise<void>): Promise<void> {
    const tell = (outcome: 'handled' | 'failed') => {
      for (const { topic, occurredAt } of records)
        this.options.onHandled?.(topic, group, outcome, (Date.now() - occurredAt.getTime()) / 1000);
    };
    try {
      await work;
    } catch (error) {
      tell('failed');
      throw error;
    }
    tell('handled');
  }

  async #dispatch(handlers: readonly Handler[], records: readonly BusRecord[]): Promise<void> {
    for (const { topic, batches, handle } of handlers) {
      if (topic !== records[0]?.topic) continue;
      // There is one, unless every handler of the topic takes several.
      const given = batches ? records : records[0];
      const result = handle(given, new BaseRpcContext([given]));
      await lastValueFrom(this.transformToObservable(result), { defaultValue: undefined });
    }
  }

  async close(): Promise<void> {
    const subscriptions = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(subscriptions.map((subscription) => subscription.stop()));
  }

  on(): void {
    throw new Error('the bus has no events to listen to');
  }

  unwrap<T>(): T {
    return this.options.bus as T;
  }
}

/** Nest's own filter turns every error into "Internal server error"; the dead letters need the real reason. */
@Catch()
class RethrowToBus implements RpcExceptionFilter {
  catch(error: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => error);
  }
}

/** Connects the application's handlers to the bus; `app.startAllMicroservices()` starts them, `app.close()` ends them. */
export function connectBus(app: INestApplication, options: BusServerOptions): INestMicroservice {
  const strategy = new BusServer(options);
  const microservice = app.connectMicroservice({ strategy }, { inheritAppConfig: false, deferInitialization: true }) as NestMicroservice;
  microservice.useGlobalFilters(new RethrowToBus());
  // What Nest does itself without `deferInitialization`, but then before any filter could be set.
  microservice.registerListeners();
  microservice.setIsInitialized(true);
  microservice.setIsInitHookCalled(true);
  return microservice;
}
