import type { CursorOwner, Member } from './group.store';

interface Place {
  readonly topic: string;
  readonly partition: number;
}

/**
 * Which places `me` should give back and which it may try to take, so that the members of a group share each topic
 * evenly. A fair share is rounded up: with 8 partitions and 3 members 3, 3 and 2. Pure, so that every member comes to
 * compatible answers from the same rows; two that claim the same place are told apart by the row itself.
 */
export function shareOut(me: string, cursors: readonly CursorOwner[], members: readonly Member[]): { release: Place[]; claim: Place[] } {
  const release: Place[] = [];
  const claim: Place[] = [];
  const topics = new Set(cursors.map((cursor) => cursor.topic));
  for (const topic of topics) {
    const all = cursors.filter((cursor) => cursor.topic === topic).sort((a, b) => a.partition - b.partition);
    const sharers = members.filter((member) => member.member === me || member.topics.includes(topic));
    const fair = Math.ceil(all.length / Math.max(1, new Set([me, ...sharers.map((member) => member.member)]).size));
    const mine = all.filter((cursor) => cursor.owner === me);
    release.push(...mine.slice(fair));
    const free = all.filter((cursor) => cursor.owner !== me && (cursor.owner === null || cursor.expired));
    claim.push(...free.slice(0, Math.max(0, fair - mine.length)));
  }
  return { release: release.map(place), claim: claim.map(place) };
}

const place = ({ topic, partition }: Place): Place => ({ topic, partition });
