/** Passes each record on with one member more. */
export default function record(value, context) {
  return context.ok({ ...value, n: value.n + 1 })
}
