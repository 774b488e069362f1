import { defineStore } from 'pinia';
import { useSession } from '../session/session';
import { readStep, type Step, stepNames, stepNeeds } from './steps';

const storageKey = () => `star.start.${useSession().user?.id}`;

let reading: Promise<void> | undefined;

/** The first steps with Star, of those the reader may do. */
export const useStart = defineStore('start', {
  state: () => ({ steps: [] as Step[], dismissed: false, readAt: 0 }),
  getters: {
    done: ({ steps }): number => steps.filter((step) => step.state === 'done').length,
    /** Whether the reader is led to them: something is left to do, and she has not sent them away. */
    leads(): boolean {
      return !this.dismissed && this.done < this.steps.length;
    },
  },
  actions: {
    /** Throws ApiError. Whoever asks while it is being read is answered by that. */
    read(): Promise<void> {
      reading ??= this.readNow().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    async readNow() {
      this.readAt = Date.now();
      this.dismissed = localStorage.getItem(storageKey()) === 'dismissed';
      this.steps = await Promise.all(stepNames.filter((name) => useSession().canCall(stepNeeds[name])).map(readStep));
    },
    dismiss(dismissed: boolean) {
      this.dismissed = dismissed;
      if (dismissed) localStorage.setItem(storageKey(), 'dismissed');
      else localStorage.removeItem(storageKey());
    },
  },
});
