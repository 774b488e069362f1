/** What a broken model can do to the process that opens it: end it, or keep it for ever. */
if (process.argv[2]?.endsWith('crashing')) process.kill(process.pid, 'SIGSEGV');
if (process.argv[2]?.endsWith('hanging')) for (;;);
