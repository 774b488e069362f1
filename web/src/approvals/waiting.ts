import { onBeforeUnmount, onMounted, ref } from 'vue';
import { listApprovals } from '../api/approvals';
import { useSession } from '../session/session';

const everyMs = 60_000;

/** How many searches wait for the reader's own decision: asked for every minute, and whenever `ask` is called. */
export function useWaitingApprovals() {
  const session = useSession();
  const waiting = ref(0);
  let timer = 0;
  async function ask() {
    if (!session.mayCall('GET /api/v1/approvals')) return;
    try {
      waiting.value = (await listApprovals('pending')).filter((each) => each.requestedBy.id !== session.user?.id).length;
    } catch {
      // A number that is a minute old is better than none; the page itself says what is wrong.
    }
  }
  onMounted(() => {
    void ask();
    timer = window.setInterval(ask, everyMs);
  });
  onBeforeUnmount(() => window.clearInterval(timer));
  return { waiting, ask };
}
