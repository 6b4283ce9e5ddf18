import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './styles.css';
import { App } from './app.tsx';
import { isolate } from './isolate.ts';
import { nameLanguage } from './language.ts';
import { keepStrayDrops } from './ui/stray-drops.ts';

nameLanguage();
keepStrayDrops();
await isolate();
const place = document.getElementById('app');
if (place) render(<App />, place);
