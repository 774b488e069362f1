import { type Identity, identityOf, lookAlikeOf } from './identity.ts';

/** Models are trained on people of lower seeds only; measurements and footage cast people from here on, so none is ever in both. */
export const firstUnseenSeed = 1_000_000;

/** The people models are trained on. A third are look-alikes of others: faces that only their build tells apart. */
export function trainingPerson(index: number): Identity {
  return index % 3 === 2 ? lookAlikeOf(identityOf(index - 1), 500_000 + index, 0.75) : identityOf(index);
}
