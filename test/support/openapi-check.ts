/** Holds answers to the OpenAPI document: that their status and type are told of there, and that their body is as it says. */
import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { openApi } from '../../src/http/openapi.ts'

interface Answer {
  content?: Record<string, { schema: object }>
}
type Operation = { responses: Record<string, Answer>; requestBody?: { content: Record<string, { schema: object }> } }
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: object
}

const document = openApi() as Document
const ajv = new Ajv2020({ strict: false })
ajv.addSchema({ ...document, $id: 'openapi' }, 'openapi')

function operationOf(method: string, path: string): Operation | null {
  const bare = path.split('?')[0] ?? ''
  for (const [pattern, methods] of Object.entries(document.paths)) {
    if (new RegExp(`^${pattern.replaceAll(/[.]/g, '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare))
      return methods[method.toLowerCase()] ?? null
  }
  return null
}

/** @throws AssertionError naming what the document does not say; passes over what it does not know (`OPTIONS`, 404 of no route) */
export function checkAnswer(method: string, path: string, status: number, contentType: string, body: unknown): void {
  const operation = operationOf(method, path)
  if (operation === null) return
  const where = `${method} ${path} ${status}`
  const answer = operation.responses[status] ?? operation.responses['default']
  assert.ok(
    answer !== undefined && (status >= 300 || operation.responses[status] !== undefined),
    `${where} is not told of`,
  )
  if (answer.content === undefined) {
    assert.equal(body, null, `${where}: expected no body`)
    return
  }
  const type = contentType.split(';')[0] ?? ''
  const media = answer.content[type]
  assert.ok(media !== undefined, `${where}: the document has no ${type}`)
  const validate = ajv.compile(withRefs(media.schema))
  assert.ok(validate(body), `${where}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body).slice(0, 1_000)}`)
}

/** Is a body as the document wants it? */
export function fitsRequest(method: string, path: string, contentType: string, body: unknown): boolean {
  const media = operationOf(method, path)?.requestBody?.content[contentType]
  assert.ok(media !== undefined, `${method} ${path}: the document has no body of ${contentType}`)
  return ajv.compile(withRefs(media.schema))(body)
}

function withRefs(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')) as object
}
