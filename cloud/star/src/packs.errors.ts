import { AppError, defineErrors } from '@star/platform';

/** Why a pack cannot be opened, beside what `dipper models add` says of its archive. */
export const packsErrors = defineErrors({
  /** The settings name no program that could install or run it: all tenants have the installation's own. */
  'packs.not_supported': 'unprocessable',
  /** As many Mizars run as may, and each was asked for lately. */
  'packs.no_room': 'limited',
  /** It is being unpacked and checked. */
  'packs.preparing': 'unavailable',
  'packs.storage_unavailable': 'unavailable',
  'packs.install_failed': 'unavailable',
  'packs.start_failed': 'unavailable',
  /** Its package was deleted. */
  'pack.archive_missing': 'gone',
  'pack.archive_invalid': 'unprocessable',
  'pack.invalid': 'unprocessable',
});

/** What goes by without anybody's doing; anything else that `dipper models add` says is about the pack. */
const passing = /^(models\.(busy|disk_full)|agent\..*|internal)$/;

/** An error of `dipper models add`. */
export const installError = (code: string, params: Record<string, unknown>): AppError =>
  new AppError(code, passing.test(code) ? 'unavailable' : 'unprocessable', params);
