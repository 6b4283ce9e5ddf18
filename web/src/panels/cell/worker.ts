import './compute.ts';
