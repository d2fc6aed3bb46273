/**
 * A PDF document opened by pdf.js over ranges: the end of the file, the directory, and what is asked for; never the whole file
 * unless it is short or broken. Opened once for each object, for `pdf` and `pdf-text`.
 */
import type { ByteSource } from './extract.ts'
import { type Pages, pagesOf, parsed } from './pages.ts'

type Library = typeof import('unpdf/pdfjs')
type PdfDocument = Awaited<ReturnType<Library['getDocument']>['promise']>

export type OpenedPdf =
  | { kind: 'open'; document: PdfDocument }
  /** A password is needed to read anything. */
  | { kind: 'locked' }

const opened = new WeakMap<ByteSource, Promise<OpenedPdf>>()

/** @throws Fault `corrupt` for what is no readable PDF, and faults of reading */
export function openPdf(source: ByteSource): Promise<OpenedPdf> {
  const known = opened.get(source)
  if (known !== undefined) return known
  const pages = pagesOf(source)
  const opening = parsed(pages, 'the PDF', () => open(pages))
  opened.set(source, opening)
  // Whoever asks is told; the copy that is kept need not be waited for.
  opening.catch(() => undefined)
  return opening
}

/** Frees what the library holds of a document. */
export async function closePdf(source: ByteSource): Promise<void> {
  const opening = opened.get(source)
  opened.delete(source)
  const pdf = await opening?.catch(() => undefined)
  if (pdf?.kind === 'open') await pdf.document.loadingTask.destroy()
}

async function open(pages: Pages): Promise<OpenedPdf> {
  const library = await import('unpdf/pdfjs')
  const task = library.getDocument({
    range: rangesOf(library, pages),
    rangeChunkSize: CHUNK_BYTES,
    disableAutoFetch: true,
    disableStream: true,
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    useWasm: false,
    stopAtErrors: false,
    verbosity: 0,
  })
  try {
    return { kind: 'open', document: await pages.orFailure(task.promise) }
  } catch (error) {
    if (error instanceof Error && error.name === 'PasswordException') return { kind: 'locked' }
    throw error
  }
}

/** What the library asks for at least; pages of ours are no larger. */
const CHUNK_BYTES = 32 * 1024

function rangesOf(library: Library, pages: Pages): InstanceType<Library['PDFDataRangeTransport']> {
  class Ranges extends library.PDFDataRangeTransport {
    override requestDataRange(begin: number, end: number): void {
      pages.read(begin, end).then(
        // A copy: the library may keep or transfer it.
        (bytes) => this.onDataRange(begin, new Uint8Array(bytes)),
        // The library would wait for ever; `pages` tells whoever waits for the library.
        () => undefined,
      )
    }
  }
  return new Ranges(pages.sizeBytes, null)
}
