/** Small documents of Microsoft Office and OpenDocument: the parts that hold properties, and a main part with next to nothing. */
import { type ArchiveFile, zip } from './write-archives.ts'

const CORE = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>Ebb &amp; flow</dc:title><dc:subject>Tides</dc:subject><dc:creator>Ann Ebb</dc:creator><cp:keywords>sea, tide</cp:keywords><dc:description>On water</dc:description><cp:lastModifiedBy>Bo Flow</cp:lastModifiedBy><cp:revision>7</cp:revision><dcterms:created xsi:type="dcterms:W3CDTF">2024-05-06T07:08:09Z</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">2024-05-07T01:02:03Z</dcterms:modified><cp:category>Report</cp:category></cp:coreProperties>`

const appProperties = (more: string) => `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"><Application>write-office.ts</Application><Company>Shore</Company>${more}</Properties>`

const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'

const MAIN: Readonly<Record<string, { type: string; path: string; xml: string; app: string; more: ArchiveFile[] }>> = {
  docx: {
    type: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml',
    path: 'word/document.xml',
    xml: '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>',
    app: '<Pages>3</Pages><Words>120</Words><Characters>700</Characters>',
    more: [],
  },
  docm: {
    type: 'application/vnd.ms-word.document.macroEnabled.main+xml',
    path: 'word/document.xml',
    xml: '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>',
    app: '<Pages>1</Pages>',
    more: [{ name: 'word/vbaProject.bin', text: 'no macros' }],
  },
  xlsx: {
    type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml',
    path: 'xl/workbook.xml',
    xml: `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="${OFFICE}"><sheets><sheet name="Ebb" sheetId="1" r:id="rId1"/><sheet name="Flow &amp; co" sheetId="2" r:id="rId2"/></sheets></workbook>`,
    app: '',
    more: [
      { name: 'xl/worksheets/sheet1.xml', text: '<worksheet/>' },
      { name: 'xl/worksheets/sheet2.xml', text: '<worksheet/>' },
    ],
  },
  pptx: {
    type: 'application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml',
    path: 'ppt/presentation.xml',
    xml: '<p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"/>',
    app: '<Slides>3</Slides>',
    more: [1, 2, 3].map((slide) => ({ name: `ppt/slides/slide${slide}.xml`, text: '<sld/>' })),
  },
}

export function ooxml(kind: 'docx' | 'docm' | 'xlsx' | 'pptx'): Buffer {
  const { type, path, xml, app, more } = MAIN[kind]!
  return zip([
    {
      name: '[Content_Types].xml',
      text: `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/${path}" ContentType="${type}"/></Types>`,
    },
    {
      name: '_rels/.rels',
      text: `<Relationships><Relationship Type="${OFFICE}/officeDocument" Target="${path}"/></Relationships>`,
    },
    { name: path, text: xml },
    { name: 'docProps/core.xml', text: CORE },
    { name: 'docProps/app.xml', text: appProperties(app) },
    ...more,
  ])
}

const odfMeta = (statistic: string) => `<?xml version="1.0" encoding="UTF-8"?>
<office:document-meta xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>Ebbe</dc:title><dc:description>Wasser</dc:description><meta:keyword>sea</meta:keyword><meta:keyword>tide</meta:keyword><meta:initial-creator>Ann Ebb</meta:initial-creator><dc:creator>Bo Flow</dc:creator><meta:creation-date>2024-05-06T07:08:09.5</meta:creation-date><dc:date>2024-05-07T01:02:03</dc:date><meta:generator>write-office.ts</meta:generator><meta:editing-cycles>4</meta:editing-cycles><dc:language>de-DE</dc:language><meta:document-statistic ${statistic}/></office:meta></office:document-meta>`

function odf(kind: string, statistic: string, content: string): Buffer {
  return zip([
    { name: 'mimetype', text: `application/vnd.oasis.opendocument.${kind}`, stored: true },
    { name: 'meta.xml', text: odfMeta(statistic) },
    {
      name: 'content.xml',
      text: `<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"><office:body>${content}</office:body></office:document-content>`,
    },
    {
      name: 'META-INF/manifest.xml',
      text: '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
    },
  ])
}

export function odt(): Buffer {
  return odf('text', 'meta:page-count="2" meta:word-count="11" meta:character-count="60" meta:table-count="0"', '')
}

export function ods(): Buffer {
  const tables = '<table:table table:name="Ebbe"/><table:table table:name="Flut"/>'
  return odf('spreadsheet', 'meta:table-count="2"', `<office:spreadsheet>${tables}</office:spreadsheet>`)
}

export function odp(): Buffer {
  const slides = '<draw:page draw:name="page1"/><draw:page draw:name="page2"/>'
  return odf('presentation', 'meta:object-count="5"', `<office:presentation>${slides}</office:presentation>`)
}
