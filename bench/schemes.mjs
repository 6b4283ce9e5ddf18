// One typical use of every scheme of the registry, from the schemes' own files (src/encodings/recipe.ts).
export { lengthOf, recipes as RECIPES } from '../build/recipes.mjs';
