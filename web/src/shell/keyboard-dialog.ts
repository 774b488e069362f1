import { Dialog } from 'element-ui';
import Vue, { type ComponentOptions } from 'vue';

const reachable =
  'a[href], button:not([disabled]), input:not([disabled]):not([type="hidden"]), textarea:not([disabled]), [tabindex]:not([tabindex="-1"])';

interface Opened extends Vue {
  opener: Element | null;
}

/** Round and round within the dialog. */
function keepInside(dialog: Element, event: KeyboardEvent): void {
  if (event.key !== 'Tab') return;
  const all = [...dialog.querySelectorAll<HTMLElement>(reachable)].filter((element) => element.getClientRects().length > 0);
  const end = event.shiftKey ? all[0] : all.at(-1);
  if (document.activeElement !== end && dialog.contains(document.activeElement) && document.activeElement !== dialog) return;
  event.preventDefault();
  (event.shiftKey ? all.at(-1) : all[0])?.focus();
}

/**
 * element-ui's dialog as the keyboard needs it: focus comes into it when it opens, Tab does not wander over the page
 * behind, and afterwards focus is back where it was.
 */
export const KeyboardDialog = Vue.extend({
  name: 'ElDialog',
  extends: Dialog as unknown as ComponentOptions<Vue>,
  data: () => ({ opener: null as Element | null }),
  watch: {
    visible(this: Opened, visible: boolean) {
      if (visible) this.opener = document.activeElement;
      else if (this.opener instanceof HTMLElement) this.opener.focus();
    },
  },
  mounted() {
    const dialog = this.$el.querySelector<HTMLElement>('.el-dialog');
    if (!dialog) return;
    dialog.tabIndex = -1;
    dialog.addEventListener('keydown', (event) => keepInside(dialog, event));
    // Whoever shows the dialog may choose a better place first.
    this.$on('opened', () => this.$nextTick(() => dialog.contains(document.activeElement) || dialog.focus()));
  },
});
