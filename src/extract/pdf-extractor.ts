/**
 * `pdf`: what a document says of itself. `pdf-text`: the beginning of its text, by an extractor of its own, since a page may
 * inflate to anything: what is stopped there costs none of the facts that `pdf` has given.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { TRUNCATED } from './canonical.ts'
import type { Extractor } from './extract.ts'
import { fact, facts, record } from './fact-schema.ts'
import { isoDate, pdfDate, writtenCount, writtenText } from './fact-text.ts'
import { pagesOf, parsed } from './pages.ts'
import { closePdf, openPdf } from './pdf.ts'
import { cut } from './text.ts'

const PDF = 'application/pdf'

const pdfSchema = facts('pdf', {
  pdf: record({
    pages: fact('integer | null', 'number of pages; null when the document is locked'),
    version: fact('string | null', 'version of PDF, such as `1.7`'),
    title: fact('string | null', 'title, from the document information'),
    author: fact('string | null', 'author'),
    subject: fact('string | null', 'subject'),
    keywords: fact('string | null', 'keywords, as they stand'),
    creator: fact('string | null', 'program that the document was written with'),
    producer: fact('string | null', 'program that made the PDF'),
    created: fact('string | null', 'when it was made: ISO 8601, with the zone that is written, or none'),
    modified: fact('string | null', 'when it was changed'),
    language: fact('string | null', 'language of the text, such as `en-GB`'),
    encrypted: fact('boolean', 'the file is encrypted'),
    locked: fact('boolean', 'nothing can be read without a password'),
    signed: fact('boolean', 'it has signatures'),
    form: fact('boolean', 'it has fields to fill in'),
    linearized: fact('boolean', 'it is laid out to be shown while it loads'),
  }),
})

export const pdfExtractor: Extractor = {
  name: 'pdf',
  version: 1,
  schema: pdfSchema,
  appliesTo: (subject) => subject.sniffed === PDF,
  async extract(_subject, bytes) {
    const pdf = await openPdf(bytes)
    if (pdf.kind === 'locked') return { pdf: lockedFacts() }
    const { document } = pdf
    const { info } = await parsed(pagesOf(bytes), 'the PDF', () => document.getMetadata())
    return { pdf: documentFacts(document.numPages, info as { readonly [key: string]: unknown }) }
  },
}

function documentFacts(pages: number, info: { readonly [key: string]: unknown }): { [key: string]: Json } {
  return {
    pages: writtenCount(pages),
    version: writtenText(info['PDFFormatVersion'], 16),
    title: writtenText(info['Title']),
    author: writtenText(info['Author']),
    subject: writtenText(info['Subject']),
    keywords: writtenText(info['Keywords']),
    creator: writtenText(info['Creator']),
    producer: writtenText(info['Producer']),
    created: pdfDate(info['CreationDate']) ?? isoDate(info['CreationDate']),
    modified: pdfDate(info['ModDate']) ?? isoDate(info['ModDate']),
    language: writtenText(info['Language'], 64),
    encrypted: typeof info['EncryptFilterName'] === 'string',
    locked: false,
    signed: info['IsSignaturesPresent'] === true,
    form: info['IsAcroFormPresent'] === true || info['IsXFAPresent'] === true,
    linearized: info['IsLinearized'] === true,
  }
}

function lockedFacts(): { [key: string]: Json } {
  const unknown = documentFacts(0, {})
  return { ...unknown, pages: null, encrypted: true, locked: true }
}

const textSchema = facts(
  'pdf-text',
  {},
  {
    pdf: record({
      text: fact(
        'string',
        `the text of the first ${limits.pdfTextPagesMax} pages, at most ${limits.pdfTextMax} characters`,
      ),
      text_pages: fact('integer', 'pages that were looked at for it'),
    }),
  },
)

export const pdfTextExtractor: Extractor = {
  name: 'pdf-text',
  version: 1,
  schema: textSchema,
  appliesTo: (subject) => subject.sniffed === PDF,
  async extract(_subject, bytes) {
    const pages = pagesOf(bytes)
    try {
      // What cannot be opened is told by `pdf`.
      const pdf = await openPdf(bytes).catch(() => null)
      if (pdf?.kind !== 'open') return {}
      return await parsed(pages, 'the text of the PDF', async () => {
        const { document } = pdf
        const pagesMax = Math.min(document.numPages, limits.pdfTextPagesMax)
        let text = ''
        let count = 0
        while (count < pagesMax && text.length <= limits.pdfTextMax) {
          const page = await document.getPage(++count)
          text = `${text}${text === '' ? '' : '\n'}${await textOf(page, limits.pdfTextMax - text.length)}`
        }
        const isWhole = text.length <= limits.pdfTextMax
        return {
          pdf: { text: cut(text, limits.pdfTextMax), text_pages: count },
          ...(isWhole ? {} : { [TRUNCATED]: ['pdf.text'] }),
        }
      })
    } finally {
      await closePdf(bytes)
    }
  },
}

interface TextPage {
  streamTextContent(): ReadableStream<{ items: readonly object[] }>
}

/** The text of a page, up to a little more than `max` characters: what follows is not even looked at. */
async function textOf(page: TextPage, max: number): Promise<string> {
  const reader = page.streamTextContent().getReader()
  let text = ''
  try {
    while (text.length <= max) {
      const { done, value } = await reader.read()
      if (done) break
      for (const item of value.items as readonly { str?: string; hasEOL?: boolean }[]) {
        text += (item.str ?? '') + (item.hasEOL === true ? '\n' : '')
        if (text.length > max) break
      }
    }
  } finally {
    // Cancelling a stream that has ended is nothing.
    await reader.cancel(new Error('enough text')).catch(() => undefined)
  }
  return text.replaceAll('\0', '').trim()
}
