import type { SearchTask } from '@stardipper/proto';

/** Whether the box still has something to say about the task. */
export const isOpen = (task: SearchTask): boolean => task.state === 'requested' || task.state === 'accepted' || task.state === 'running';
