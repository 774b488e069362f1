/** Fetches what `npm run test:stack` needs from Maven Central, so that it can be had while other suites run. */

import { whyNoKafka } from './kafka.ts';
import { whyNoKeycloak } from './keycloak.ts';

const missing = [whyNoKafka(), whyNoKeycloak()].filter((why) => why !== undefined);
for (const why of missing) console.error(why);
process.exitCode = missing.length > 0 ? 1 : 0;
