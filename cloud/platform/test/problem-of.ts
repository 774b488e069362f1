import { type Problem, problem } from '@stardipper/proto';

/** The problem an answer carries; fails unless it is one. */
export async function problemOf(answer: Response): Promise<Problem> {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  return problem.parse(await answer.json());
}
