/** The tokenizer of a folder, as those use it who have no loader: the package that relpos uses too. */
import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';

const json = (folder, file) => JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'));

export const tokenizerOf = (folder) => new Tokenizer(json(folder, 'tokenizer.json'), json(folder, 'tokenizer_config.json'));
