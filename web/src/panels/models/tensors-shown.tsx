import { sizeOf } from './dropped.ts';
import type { TensorList } from './tensors.ts';

/** The tensors of a file. */
export function Tensors({ name, list }: { name: string; list: TensorList }) {
  const { tensors, count, numbers, bytes, types, metadata } = list;
  const kinds = types.map(([dtype, size]) => `${sizeOf(size)} of ${dtype}`).join(', ');
  const said = Object.entries(metadata).slice(0, 20);
  return (
    <section class="tensors" aria-label={`Tensors of ${name}`}>
      <h3>{name}</h3>
      <p>
        {count.toLocaleString('en')} tensors with {numbers.toLocaleString('en')} numbers: {sizeOf(bytes)}
        {types.length > 1 ? ` (${kinds})` : types[0] ? ` of ${types[0][0]}` : ''}.
        {said.length > 0 && ` Its own words: ${said.map(([key, value]) => `${key} = ${value.slice(0, 80)}`).join(', ')}.`}
      </p>
      <section class="scrolls list" tabIndex={0} aria-label="List of tensors">
        <table>
          <thead>
            <tr>
              <th scope="col">Tensor</th>
              <th scope="col">Type</th>
              <th scope="col">Shape</th>
              <th scope="col">Size</th>
            </tr>
          </thead>
          <tbody>
            {tensors.map((tensor) => (
              <tr key={tensor.name}>
                <th scope="row">{tensor.name}</th>
                <td>{tensor.dtype}</td>
                <td>{tensor.shape.join(' × ') || 'a number'}</td>
                <td>{sizeOf(tensor.bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {count > tensors.length && (
        <p class="quiet">
          The first {tensors.length} of {count.toLocaleString('en')}.
        </p>
      )}
    </section>
  );
}
