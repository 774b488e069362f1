import { runAgent } from '@dipper/platform';
import { startMizar } from './start-mizar';

void runAgent('mizar', startMizar, process.env);
