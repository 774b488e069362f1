/** Real ONNX files of a few hundred bytes: whatever comes in, the answer is constant. With them a model can be wrong in one thing alone. */

export const elementTypes = { float32: 1, int64: 7, float64: 11 } as const;

export interface TinyTensor {
  readonly name: string;
  /** A word is a free side. */
  readonly shape: readonly (number | string)[];
  readonly type?: keyof typeof elementTypes;
}

/** Of an output; its shape has numbers only. */
export interface TinyOutput extends TinyTensor {
  readonly shape: readonly number[];
  readonly value?: number;
}

/** Field numbers are those of onnx.proto3. */
export function tinyOnnx(inputs: readonly TinyTensor[], outputs: readonly TinyOutput[]): Buffer {
  const graph = message(
    ...outputs.map(({ name }) => bytes(1, message(text(1, `${name}_constant`), text(2, name), text(4, 'Identity')))),
    text(2, 'tiny'),
    ...outputs.map((output) => bytes(5, constant(output))),
    ...inputs.map((input) => bytes(11, valueInfo(input))),
    ...outputs.map((output) => bytes(12, valueInfo(output))),
  );
  return message(varint(1, 8), bytes(7, graph), bytes(8, message(text(1, ''), varint(2, 13))));
}

function valueInfo({ name, shape, type = 'float32' }: TinyTensor): Buffer {
  const dimensions = shape.map((side) => bytes(1, typeof side === 'number' ? varint(1, side) : text(2, side)));
  return message(text(1, name), bytes(2, bytes(1, message(varint(1, elementTypes[type]), bytes(2, message(...dimensions))))));
}

function constant({ name, shape, type = 'float32', value = 0.25 }: TinyOutput): Buffer {
  const length = shape.reduce((product, side) => product * side, 1);
  const array = { float32: Float32Array, int64: BigInt64Array, float64: Float64Array }[type];
  const data = new array(length);
  if (!(data instanceof BigInt64Array)) data.fill(value);
  return message(
    ...shape.map((side) => varint(1, side)),
    varint(2, elementTypes[type]),
    text(8, `${name}_constant`),
    bytes(9, Buffer.from(data.buffer)),
  );
}

const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields);
const varint = (field: number, value: number): Buffer => Buffer.from([...base128(field << 3), ...base128(value)]);
const bytes = (field: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([...base128((field << 3) | 2), ...base128(value.length)]), value]);
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value));

function base128(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...base128(Math.floor(value / 128))];
}
