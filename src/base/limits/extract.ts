/** Bounds of what reading one object may cost, and of what it may give: extractors, labels, models. Composed in `../limits.ts`. */
import { KiB, MiB } from './units.ts'

export const extractLimits = {
  /** What one object may cost an extractor. */
  extractBytesMax: 16 * MiB,
  extractTimeMs: 5_000,
  extractReadMs: 30_000,
  extractOutputBytesMax: 380 * KiB,
  extractHeapMiB: 256,
  /** First fetch of an object, the least of each further one, and fetches in all. */
  extractHeadBytes: 64 * KiB,
  extractNextBytes: 16 * KiB,
  extractReadsMax: 512,
  /** What foreign parsers are given is fetched in pages of this size. */
  extractPageBytes: 32 * KiB,
  /** EXIF: entries looked at, tags without a known name kept, one value, and all values together (as JSON). */
  exifEntriesMax: 131_072,
  exifUnknownTagsMax: 128,
  exifValueBytesMax: 8 * KiB,
  exifOutputBytesMax: 96 * KiB,
  /** One metadata block: EXIF, XMP, IPTC or a colour profile, after inflating. */
  metadataBlockBytesMax: 2 * MiB,
  /** One text of an image's metadata (PNG text, XMP property), and items of a list. */
  metadataTextMax: 8 * KiB,
  metadataItemsMax: 256,
  /** Values in one extractor's output, and how deep they nest. */
  extractOutputNodesMax: 100_000,
  extractOutputDepthMax: 32,
  /** One text that somebody wrote into a document or a recording (a title, a tag), and such texts of one file. */
  factTextMax: 2 * KiB,
  factTagsMax: 64,
  /** PDF: pages looked at for the text, and characters of it that are kept. */
  pdfTextPagesMax: 3,
  pdfTextMax: 4_000,
  /** Archives: entries counted, bytes of a directory read, and entries that are listed by name. */
  archiveEntriesMax: 10_000,
  archiveDirectoryBytesMax: 8 * MiB,
  archiveListedMax: 100,
  archiveNameMax: 256,
  /** A packed archive is unpacked so far to list what is in it; unpacked to packed bytes from which it counts as a bomb. */
  archiveInflatedBytesMax: 32 * MiB,
  archiveRatioMax: 200,
  /** Office documents: one part (properties, relations) after inflating. */
  officePartBytesMax: 1 * MiB,
  /** Recordings: tracks told one by one. */
  mediaTracksMax: 32,
  /** Tables: columns told, bytes of a Parquet footer, bytes and records of text that a schema is inferred from. */
  tableColumnsMax: 1_000,
  tableFooterBytesMax: 8 * MiB,
  tableSampleBytesMax: 64 * KiB,
  tableSampleRecordsMax: 1_000,
  /** Levels of a nested type that are told. */
  tableDepthMax: 12,
  /** Pictures that are decoded: pixels, and time in the decoder. */
  imagePixelsMax: 100_000_000,
  imageDecodeMs: 4_000,

  /**
   * Labels by a service: bytes of a picture sent along, of one that it reads from S3, and of one that is made smaller first, by its side,
   * within such pixels and such a time.
   */
  labelBytesMax: 5 * MiB,
  labelS3BytesMax: 15 * MiB,
  labelShrinkBytesMax: 32 * MiB,
  labelSidePixels: 4_096,
  labelPixelsMax: 100_000_000,
  labelShrinkMs: 10_000,
  /** One call; tries of a picture, the pause between them (doubled up to the maximum), and how long its events may wait for all that. */
  labelCallMs: 15_000,
  labelAttemptsMax: 5,
  labelBackoffMs: 200,
  labelBackoffMaxMs: 5_000,
  labelTurnMs: 5_000,
  /** Calls at once that may be configured; no call after one that was refused for its credentials; how often what waits is looked at. */
  labelCallsAtOnceMax: 64,
  labelRefusedMs: 60_000,
  labelWaitingPollMs: 5_000,

  /** Labels by a model in a file: its bytes, and the default bounds of its workers for one picture. */
  onnxModelBytesMax: 2_048 * MiB,
  onnxTimeMs: 10_000,
  onnxMemoryMiB: 1_024,
  onnxBytesMax: 64 * MiB,
} as const
