import { Body, Param, type PipeTransform, Query } from '@nestjs/common';
import { ApiBody, ApiParam, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { parseInput } from '../errors/problem';

class ZodPipe implements PipeTransform {
  constructor(private readonly schema: z.ZodType) {}
  transform(value: unknown): unknown {
    return parseInput(this.schema, value);
  }
}

/** OpenAPI's shape of a schema; what cannot be drawn (transforms, refinements) is left open rather than failing the start. */
export const openApiSchema = (schema: z.ZodType, io: 'input' | 'output' = 'input') =>
  z.toJSONSchema(schema, { target: 'openapi-3.0', io, unrepresentable: 'any', reused: 'inline' }) as Record<string, unknown>;

type Documented = (target: object, key: string | symbol, descriptor: PropertyDescriptor) => unknown;

/** Applies method decorators from a parameter decorator, so that one line both checks and documents. */
const documented =
  (check: ParameterDecorator, document: readonly Documented[]): ParameterDecorator =>
  (target, key, index) => {
    check(target, key, index);
    if (key === undefined) return;
    const descriptor = Object.getOwnPropertyDescriptor(target, key);
    if (descriptor) for (const each of document) each(target, key, descriptor);
  };

/** The body, checked; `request.invalid` with a pointer per wrong field. */
export const ZodBody = (schema: z.ZodType) =>
  documented(Body(new ZodPipe(schema)), [ApiBody({ schema: openApiSchema(schema) }) as Documented]);

/** The query string, checked. Values arrive as text: use `z.coerce`. */
export const ZodQuery = (schema: z.ZodObject) =>
  documented(
    Query(new ZodPipe(schema)),
    Object.entries(schema.shape).map(
      ([name, field]) =>
        ApiQuery({
          name,
          required: !(field as z.ZodType).safeParse(undefined).success,
          schema: openApiSchema(field as z.ZodType),
        }) as Documented,
    ),
  );

/** One part of the path, checked: `@ZodParam('searchId', z.uuid())`. */
export const ZodParam = (name: string, schema: z.ZodType) =>
  documented(Param(name, new ZodParamPipe(name, schema)), [ApiParam({ name, schema: openApiSchema(schema) }) as Documented]);

class ZodParamPipe implements PipeTransform {
  private readonly schema: z.ZodObject;
  constructor(
    private readonly name: string,
    schema: z.ZodType,
  ) {
    this.schema = z.object({ [name]: schema });
  }
  transform(value: unknown): unknown {
    return (parseInput(this.schema, { [this.name]: value }) as Record<string, unknown>)[this.name];
  }
}

/** Documents what a route answers. */
export const ZodAnswer = (schema: z.ZodType, status = 200) => ApiResponse({ status, schema: openApiSchema(schema, 'output') });
