import 'relpos/worker';
