export default function Panel() {
  return <p>…</p>;
}
