/** A reporter of the test runner that ends a run with one line: `12 passed, 0 failed`, and what was skipped if anything was. */
export default async function* tally(events) {
  for await (const event of events) {
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue
    const { passed, failed, cancelled, skipped, todo } = event.data.counts
    const left = skipped + todo
    yield `${passed} passed, ${failed + cancelled} failed${left > 0 ? `, ${left} skipped` : ''}\n`
  }
}
