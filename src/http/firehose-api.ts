/**
 * `POST /`: the route of the AWS protocol. A call is let in by the key that it names before its body is read, and its signature is
 * checked before anything is done with the body; what it asks is done by `firehose.ts`.
 */
import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { tableExists } from '../app/tables.ts'
import { limits } from '../base/limits.ts'
import { readPacked, unpackBody } from './body.ts'
import { type Context, withHold } from './context.ts'
import { offsetHeaders } from './delivery.ts'
import { callFirehose, operationOf } from './firehose.ts'
import { headerOf } from './gate.ts'

export function addFirehoseApi(context: Context): void {
  const { app, gate, options, inFlight, metrics, times } = context
  const { streams, reader, clock } = options
  app.post('/', async (request, reply) => {
    const header = headerOf(request)
    const { operation, scope } = operationOf(header('x-amz-target'))
    const { key, region, prove } = gate.enterAws(request, scope)
    return withHold(inFlight, async (hold) => {
      const packed = await readPacked(request.raw, hold, limits.streamRequestBytesMax, times)
      prove(packed)
      const answer = await callFirehose({
        operation,
        body: await unpackBody(packed, request.headers['content-encoding'], hold),
        invocationId: header('amz-sdk-invocation-id'),
        region,
        streams,
        sender: { key, origin: gate.originOf(request), rates: gate.rates, clock, onTaken: metrics.taken },
        require: (stream) => gate.requireAws(key, scope, stream),
        visible: (name) => gate.may(key, 'read', name),
        tableExists: (table) => tableExists(reader, table),
        onEnd: (end) => offsetHeaders(reply, end, null),
      })
      return awsReply(reply, request, 200, answer)
    })
  })
}

/** An answer with the headers that the service's clients look at. @param body the value, or its text */
export function awsReply(
  reply: FastifyReply,
  request: FastifyRequest,
  status: number,
  body: object | string,
): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/x-amz-json-1.1')
    .header('x-amzn-requestid', request.id)
    .header('x-amz-id-2', randomBytes(48).toString('base64'))
    .serializer((text: string) => text)
    .send(typeof body === 'string' ? body : JSON.stringify(body))
}
