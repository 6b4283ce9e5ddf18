// One typical use of every scheme of the registry, from the schemes' own files (src/encodings/recipe.ts), and what it may cost.
export { lengthOf, recipes as RECIPES } from '../build/recipes.mjs';

/** Cost over no encoding that a kind may have, in percent; a kind that is not here has no bound. */
export const BOUNDS = { 'offset bias': 12, table: 70, 'two tables': 130 };
