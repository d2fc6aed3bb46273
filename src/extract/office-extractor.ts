/**
 * `office`: the properties of documents of Microsoft Office (docx, xlsx, pptx) and OpenDocument (odt, ods, odp). They are zips:
 * the directory is read, and the few small parts that hold properties are inflated, up to a bound. No entity is ever expanded.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { TRUNCATED } from './canonical.ts'
import type { ByteSource, Extractor, ExtractSubject } from './extract.ts'
import { fact, facts, list, record, word } from './fact-schema.ts'
import { isoDate, writtenCount, writtenText } from './fact-text.ts'
import { invalid } from './image-head.ts'
import { attributesOf, documentText, type Properties, propertiesOf } from './office-parts.ts'
import { type ZipEntry, type ZipListing, zipListing, zipPart } from './zip.ts'

type Family = 'word' | 'sheet' | 'slides'

const OOXML = 'application/vnd.openxmlformats-officedocument.'
const ODF = 'application/vnd.oasis.opendocument.'
const FORMATS = ['docx', 'xlsx', 'pptx', 'odt', 'ods', 'odp'] as const
type Format = (typeof FORMATS)[number]

const schema = facts(
  'office',
  {},
  {
    office: record({
      format: word(FORMATS, 'kind of document; templates and those with macros count as their kind'),
      title: fact('string | null', 'title'),
      subject: fact('string | null', 'subject'),
      author: fact('string | null', 'who made it'),
      last_modified_by: fact('string | null', 'who changed it last'),
      keywords: fact('string | null', 'keywords; several are joined by commas'),
      description: fact('string | null', 'description or comment'),
      category: fact('string | null', 'category'),
      language: fact('string | null', 'language'),
      revision: fact('integer | null', 'how often it was saved, as it says'),
      created: fact('string | null', 'when it was made: ISO 8601 as it stands'),
      modified: fact('string | null', 'when it was changed'),
      application: fact('string | null', 'program that wrote it'),
      company: fact('string | null', 'company'),
      pages: fact('integer | null', 'pages of a text, as the program counted them'),
      words: fact('integer | null', 'words of a text, as the program counted them'),
      characters: fact('integer | null', 'characters of a text, as the program counted them'),
      sheets: fact('integer | null', 'sheets of a workbook'),
      sheet_names: list(fact('string', 'name of a sheet'), `names of the first ${limits.factTagsMax} sheets`),
      slides: fact('integer | null', 'slides of a presentation'),
      macros: fact('boolean', 'it holds macros'),
      encrypted: fact('boolean', 'its parts are encrypted (OpenDocument)'),
    }),
  },
)

export const officeExtractor: Extractor = {
  name: 'office',
  version: 1,
  schema,
  /** Some writers put the parts that tell the kind far behind: what looks like any zip is asked for its directory. */
  appliesTo: ({ sniffed }) =>
    sniffed !== null &&
    (sniffed === 'application/zip' || sniffed.startsWith(OOXML) || sniffed.startsWith(ODF) || isMacroType(sniffed)),
  async extract(subject, bytes) {
    const isZip = subject.sniffed === 'application/zip'
    // What is no readable zip is told by `archive`.
    const listing = await zipListing(bytes).catch((error: unknown) => {
      if (isZip) return null
      throw error
    })
    if (listing === null) return {}
    const parts = new Parts(bytes, listing)
    const format = await formatOf(subject, parts)
    if (format === null) {
      if (isZip) return {}
      throw invalid(`an office document (${subject.sniffed}) without its main part`)
    }
    const office = format.startsWith('od') ? await odfFacts(format, parts) : await ooxmlFacts(format, parts)
    const names = office['sheet_names'] as Json[]
    const isCut = names.length > limits.factTagsMax
    office['sheet_names'] = names.slice(0, limits.factTagsMax)
    return { office, ...(isCut ? { [TRUNCATED]: ['office.sheet_names'] } : {}) }
  },
}

function isMacroType(sniffed: string): boolean {
  return /^application\/vnd\.ms-(?:excel|powerpoint|word)\..*macroenabled/i.test(sniffed)
}

/** Parts of a document by their names. */
class Parts {
  readonly names: ReadonlyMap<string, ZipEntry>
  readonly #source: ByteSource
  readonly #listing: ZipListing

  constructor(source: ByteSource, listing: ZipListing) {
    this.#source = source
    this.#listing = listing
    this.names = new Map(listing.entries.map((entry) => [entry.name, entry]))
  }

  /** The text of a part; null when there is none. */
  async text(name: string | undefined): Promise<string | null> {
    const part = name === undefined ? undefined : this.names.get(name)
    return part === undefined ? null : documentText(await zipPart(this.#source, this.#listing, part))
  }

  find(pattern: RegExp): string | undefined {
    for (const name of this.names.keys()) if (pattern.test(name)) return name
    return undefined
  }

  count(pattern: RegExp): number {
    let count = 0
    for (const name of this.names.keys()) if (pattern.test(name)) count++
    return count
  }
}

const MAIN_PARTS: readonly [string, Format][] = [
  ['word/document.xml', 'docx'],
  ['xl/workbook.xml', 'xlsx'],
  ['ppt/presentation.xml', 'pptx'],
]
const ODF_KINDS: ReadonlyMap<string, Format> = new Map([
  ['text', 'odt'],
  ['spreadsheet', 'ods'],
  ['presentation', 'odp'],
])

/** By the parts that there are; OpenDocument says it in a part of its own. Null for a zip that is no document. */
async function formatOf({ sniffed }: ExtractSubject, parts: Parts): Promise<Format | null> {
  if (parts.names.has('[Content_Types].xml'))
    return MAIN_PARTS.find(([name]) => parts.names.has(name))?.[1] ?? strictFormat(sniffed)
  if (!parts.names.has('mimetype')) return null
  const type = (await parts.text('mimetype')) ?? ''
  return type.startsWith(ODF)
    ? (ODF_KINDS.get(
        type
          .slice(ODF.length)
          .replace(/-template\s*$/, '')
          .trim(),
      ) ?? null)
    : null
}

/** Documents whose main part has another name than usual. */
function strictFormat(sniffed: string | null): Format | null {
  if (sniffed === null) return null
  if (/wordprocessingml|ms-word/.test(sniffed)) return 'docx'
  if (/spreadsheetml|ms-excel/.test(sniffed)) return 'xlsx'
  return /presentationml|ms-powerpoint/.test(sniffed) ? 'pptx' : null
}

function familyOf(format: Format): Family {
  if (format === 'docx' || format === 'odt') return 'word'
  return format === 'xlsx' || format === 'ods' ? 'sheet' : 'slides'
}

async function ooxmlFacts(format: Format, parts: Parts): Promise<{ [key: string]: Json }> {
  const corePart = parts.names.has('docProps/core.xml')
    ? 'docProps/core.xml'
    : parts.find(/\/core-properties\/[^/]+\.psmdcp$/)
  const core = propertiesOf((await parts.text(corePart)) ?? '')
  const app = propertiesOf((await parts.text('docProps/app.xml')) ?? '')
  const family = familyOf(format)
  const sheets = family === 'sheet' ? attributesOf((await parts.text('xl/workbook.xml')) ?? '', 'sheet', 'name') : []
  return {
    format,
    ...written(core, {
      title: 'title',
      subject: 'subject',
      author: 'creator',
      last_modified_by: 'lastModifiedBy',
      keywords: 'keywords',
      description: 'description',
      category: 'category',
      language: 'language',
    }),
    revision: writtenCount(core.first('revision')),
    created: isoDate(core.first('created')),
    modified: isoDate(core.first('modified')),
    ...written(app, { application: 'Application', company: 'Company' }),
    pages: family === 'word' ? writtenCount(app.first('Pages')) : null,
    words: family === 'word' ? writtenCount(app.first('Words')) : null,
    characters: family === 'word' ? writtenCount(app.first('Characters')) : null,
    sheets: family === 'sheet' ? (sheets?.length ?? null) : null,
    sheet_names: sheets ?? [],
    slides: family === 'slides' ? parts.count(/^ppt\/slides\/slide\d+\.xml$/) : null,
    macros: parts.count(/(?:^|\/)vbaProject\.bin$/) > 0,
    encrypted: false,
  }
}

async function odfFacts(format: Format, parts: Parts): Promise<{ [key: string]: Json }> {
  const manifest = (await parts.text('META-INF/manifest.xml')) ?? ''
  const encrypted = manifest.includes('encryption-data')
  const family = familyOf(format)
  // An encrypted part is no XML.
  const meta = propertiesOf(encrypted ? '' : ((await parts.text('meta.xml')) ?? ''))
  const count = (name: string) => writtenCount(meta.attributes.get(name))
  const isCounted = !encrypted && family !== 'word'
  const element = family === 'sheet' ? 'table' : 'page'
  const names = isCounted ? await namesIn(parts, element) : null
  const keywords = meta.all('keyword')
  return {
    format,
    ...written(meta, { title: 'title', subject: 'subject' }),
    author: writtenText(meta.first('initial-creator')) ?? writtenText(meta.first('creator')),
    last_modified_by: writtenText(meta.first('creator')),
    keywords: writtenText(keywords.join(', ')),
    ...written(meta, { description: 'description', category: 'category', language: 'language' }),
    revision: writtenCount(meta.first('editing-cycles')),
    created: isoDate(meta.first('creation-date')),
    modified: isoDate(meta.first('date')),
    application: writtenText(meta.first('generator')),
    company: null,
    pages: family === 'word' ? count('page-count') : null,
    words: family === 'word' ? count('word-count') : null,
    characters: family === 'word' ? count('character-count') : null,
    sheets: family === 'sheet' ? (count('table-count') ?? names?.length ?? null) : null,
    sheet_names: family === 'sheet' ? (names ?? []) : [],
    slides: family === 'slides' ? (count('page-count') ?? names?.length ?? null) : null,
    macros: parts.count(/^Basic\/.+\/.+\.xml$/) > 0,
    encrypted,
  }
}

/** Sheets or slides stand only in the content; where that is too large to be unpacked here, they are not counted. */
async function namesIn(parts: Parts, element: string): Promise<string[] | null> {
  const content = parts.names.get('content.xml')
  if (content === undefined || content.unpackedBytes > limits.officePartBytesMax) return null
  return attributesOf((await parts.text('content.xml')) ?? '', element, 'name')
}

function written(properties: Properties, names: { [fact: string]: string }): { [key: string]: Json } {
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, writtenText(properties.first(name))]))
}
