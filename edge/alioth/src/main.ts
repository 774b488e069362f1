import { runAgent } from '@dipper/platform';
import { startAlioth } from './start-alioth';

runAgent('alioth', startAlioth, process.env).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
