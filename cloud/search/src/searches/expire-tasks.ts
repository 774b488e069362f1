import type { SearchDeps } from '../ports';
import { announceChange, lockSearch } from './search.store';
import { settleTasks } from './take-report';
import { findTask, listOverdueTasks } from './task.store';
import { isFinalTask } from './task-state';

const batch = 100;

/**
 * Gives up tasks whose box has not sent its last report by expiry and grace; what is pending becomes failed with
 * `task_expired`. Later reports are still taken. Any number of replicas may run it. Answers how many it gave up.
 */
export const expireTasks = (deps: SearchDeps) => async (): Promise<number> => {
  let expired = 0;
  for (;;) {
    const now = deps.now();
    const before = new Date(now.getTime() - deps.settings.expiryGraceMs);
    const overdue = await deps.database.system('expire search tasks', (tx) => listOverdueTasks(tx, before, batch));
    for (const { tenant_id, id, search_id } of overdue) {
      await deps.database.tenant(tenant_id, async (tx) => {
        const search = await lockSearch(tx, search_id);
        const task = search && (await findTask(tx, id));
        if (!search || !task || isFinalTask(task.state)) return;
        await settleTasks(deps, tx, tenant_id, search, [{ before: task, next: { ...task, swept_at: now } }]);
        await announceChange(tx, search_id);
      });
      expired += 1;
    }
    if (overdue.length < batch) return expired;
  }
};
