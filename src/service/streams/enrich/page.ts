/** URLs of pages → the host, and parameters of the query. What is no URL says nothing. Pure. */

const NOWHERE = 'http://nowhere.invalid'

/** Lower case, without port; null for what is no URL with a host. */
export function hostOf(text: string): string | null {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return null
  return new URL(text).hostname || null
}

/** The query parameters of a URL or of a path; null where it has none of the name, or an empty one. */
export function queryOf(text: string, names: readonly string[]): (string | null)[] {
  if (!text.includes('?') || !URL.canParse(text, NOWHERE)) return names.map(() => null)
  const { searchParams } = new URL(text, NOWHERE)
  return names.map((name) => searchParams.get(name)?.toWellFormed() || null)
}
