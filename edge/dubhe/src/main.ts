import { runAgent } from '@dipper/platform';
import { startDubhe } from './index';

void runAgent('dubhe', startDubhe, process.env);
