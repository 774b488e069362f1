import { MessageBox } from 'element-ui';
import { i18n } from '../i18n';

/** Asks before something that cannot be taken back; true when the reader wants it. */
export async function confirmed(question: string): Promise<boolean> {
  try {
    await MessageBox.confirm(question, {
      type: 'warning',
      confirmButtonText: i18n.t('common.yes') as string,
      cancelButtonText: i18n.t('common.cancel') as string,
    });
    return true;
  } catch {
    return false;
  }
}
