/**
 * What is wrong with the form of a setting, in words of ours: expected, got, and what to do. For schemas that have no sentence of their
 * own; given to zod where something is parsed. Pure.
 */

/** What zod knows of an issue before it has a message, as far as it is used here. */
export interface FormIssue {
  readonly code?: string | undefined
  readonly input?: unknown
  readonly path?: readonly PropertyKey[] | undefined
  readonly expected?: unknown
  readonly origin?: unknown
  readonly minimum?: unknown
  readonly maximum?: unknown
  readonly inclusive?: unknown
  readonly exact?: unknown
  readonly pattern?: unknown
  readonly values?: unknown
  readonly options?: unknown
  readonly discriminator?: unknown
  readonly keys?: unknown
  readonly schema?: unknown
}

/** To be given to every parse. */
export const inOurWords = { error: (issue: FormIssue) => expectedText(issue), reportInput: true } as const

/** Undefined: the library's own words are best. */
function expectedText(issue: FormIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeName(issue.expected)}, ${got(issue)}`
    case 'invalid_value':
      return `expected ${choice(issue.values)}, ${got(issue)}`
    case 'invalid_format':
      return `expected text of the form ${String(issue.pattern)}, ${got(issue)}`
    case 'too_small':
    case 'too_big':
      return `expected ${bound(issue)}, ${gotSize(issue)}`
    case 'unrecognized_keys':
      return unknownKeys(issue)
    case 'invalid_union':
      return issue.discriminator === undefined
        ? undefined
        : `expected ${choice(issue.options)}, ${got({ ...issue, input: memberOf(issue) })}`
    default:
      return undefined
  }
}

function memberOf({ input, discriminator }: FormIssue): unknown {
  return (Object(input) as Record<string, unknown>)[String(discriminator)]
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  tuple: 'a list',
}

function typeName(type: unknown): string {
  return TYPES[String(type)] ?? String(type)
}

function choice(values: unknown): string {
  const texts = Array.isArray(values) ? values.map((value) => JSON.stringify(value)) : []
  return texts.length === 1 ? (texts[0] ?? '') : `one of ${texts.join(', ')}`
}

/** What is shown of a value at most. */
const SHOWN_MAX = 80
/** What is never shown, by the name of its setting. */
const SECRET = /token$|secret|password|passphrase|access-key/i

function got({ input, path }: FormIssue): string {
  if (input === undefined) return 'got nothing; add it'
  if (input === null) return 'got null; give a value, or leave it out'
  if (Array.isArray(input)) return 'got a list'
  if (typeof input === 'object') return 'got an object'
  if (SECRET.test(String(path?.at(-1) ?? ''))) return `got ${typeName(typeof input)}, which is not shown`
  const text = typeof input === 'string' ? JSON.stringify(input) : String(input)
  return `got ${text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX).toWellFormed()}…` : text}`
}

const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'items', map: 'entries', set: 'items' }

function bound({ origin, minimum, maximum, inclusive, exact }: FormIssue): string {
  const unit = UNITS[String(origin)]
  const size = minimum ?? maximum
  const many = unit === undefined ? String(size) : `${size} ${Number(size) === 1 ? unit.replace(/s$/, '') : unit}`
  if (exact === true) return `exactly ${many}`
  if (minimum !== undefined) return inclusive === false ? `more than ${many}` : `at least ${many}`
  return inclusive === false ? `less than ${many}` : `at most ${many}`
}

function gotSize(issue: FormIssue): string {
  const { input, origin } = issue
  if (UNITS[String(origin)] === undefined) return got(issue)
  const { length, size } = Object(input) as { length?: number; size?: number }
  return `got ${length ?? size ?? 'another'}`
}

/** Names that there are, and the one that was meant perhaps. */
function unknownKeys({ keys, schema }: FormIssue): string {
  const given = Array.isArray(keys) ? keys.map(String) : []
  const { def } = Object(schema) as { def?: { shape?: object } }
  const known = Object.keys(def?.shape ?? {})
  const names = given.map((key) => {
    const meant = nearest(key, known)
    return meant === null ? JSON.stringify(key) : `${JSON.stringify(key)} (did you mean ${meant}?)`
  })
  const there = known.length === 0 ? 'nothing' : known.join(', ')
  return `there is no setting ${names.join(', ')}; here may stand ${there}`
}

/** The known name that differs least, where that is little; null: none. */
function nearest(key: string, known: readonly string[]): string | null {
  let [best, least] = [null as string | null, Math.min(3, Math.ceil(key.length / 3) + 1)]
  for (const name of known) {
    const away = distance(key.toLowerCase(), name.toLowerCase())
    if (away < least) [best, least] = [name, away]
  }
  return best
}

/** Letters to put in, take out or change. Names are short; of long ones only the beginning is compared. */
function distance(one: string, other: string): number {
  const [a, b] = [one.slice(0, SHOWN_MAX), other.slice(0, SHOWN_MAX)]
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** An issue with its message. */
export interface ToldIssue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly input?: unknown
  /** Of a value that may have several forms: what is wrong by each of them. */
  readonly errors?: readonly (readonly ToldIssue[])[] | undefined
  /** Of a name that is none. */
  readonly issues?: readonly ToldIssue[] | undefined
}

/** Sentences that begin with the path of the setting. */
export function problemTexts(issue: ToldIssue, above: readonly PropertyKey[] = []): string[] {
  const path = [...above, ...issue.path]
  const where = path.length === 0 ? '(top)' : path.join('.')
  if (issue.code === 'invalid_key') {
    const rules = (issue.issues ?? []).map(({ message }) => message.replace(/, got .*$/, '')).join('; ')
    return [`${where}: ${rules}, got ${JSON.stringify(String(path.at(-1)))}`]
  }
  const forms = issue.errors ?? []
  if (issue.code !== 'invalid_union' || forms.length === 0 || !/^Invalid /.test(issue.message))
    return [`${where}: ${withGot(issue)}`]
  // The form that is meant is the one that what is there is the beginning of.
  const meant = forms.find(([first]) => first !== undefined && !isOtherForm(first))
  if (meant !== undefined) return meant.flatMap((each) => problemTexts(each, path))
  const parts = forms.flatMap(([first]) => /^expected (.*), (got .*)$/s.exec(first?.message ?? '') ?? [])
  const expected = [...new Set(parts.filter((_, at) => at % 3 === 1))].join(' or ')
  return [`${where}: expected ${expected}, ${parts.at(2) ?? 'got something else'}`]
}

/** A sentence of the schema's own, which does not know what came. */
function withGot(issue: ToldIssue): string {
  const { message, input } = issue
  const isPlain = ['string', 'number', 'boolean'].includes(typeof input)
  return isPlain && /^expected /.test(message) && !/, got /.test(message) ? `${message}, ${got(issue)}` : message
}

function isOtherForm({ code, path }: ToldIssue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value')
}
