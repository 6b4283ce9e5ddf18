// The program of a worker that is started from a string: the build bundles this file to one self-contained script.
import { ownerPort } from '../platform/inside.ts';
import { serve } from './serve.ts';

serve(ownerPort());
