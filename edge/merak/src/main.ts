import { runAgent } from '@dipper/platform';
import { startMerak } from './start-merak';

void runAgent('merak', startMerak, process.env);
