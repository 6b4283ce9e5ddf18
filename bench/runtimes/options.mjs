// What comes through JSON, as `bench` takes it: a pattern is a regular expression there, and a text would be a part of a case's name.
export const argumentsOf = ({ threads, precision, only, ...options }) => [
  { threads, precision },
  { ...options, ...(only !== undefined && { only: new RegExp(only) }) },
];
