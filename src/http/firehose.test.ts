/** The operations of the delivery stream protocol, as `POST /` answers them. What AWS's own clients make of it: test/interop. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpBench, withServer } from '../../test/support/http-bench.ts'
import { startServer } from './http.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL', price: 'DECIMAL(30,10)' },
}
const base64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64')

/** The answer, or status and type of the failure. */
async function call(
  { send }: Pick<HttpBench, 'send'>,
  operation: string,
  input: object | string,
  headers: Record<string, string> = {},
) {
  const { status, body } = await send('POST', '/', typeof input === 'string' ? input : JSON.stringify(input), {
    'x-amz-target': `Firehose_20150804.${operation}`,
    'content-type': 'application/x-amz-json-1.1',
    ...headers,
  })
  const { __type: type, ...rest } = body as { __type?: string; message?: string }
  return type === undefined ? rest : `${status} ${type}: ${rest.message}`
}

const described = async (http: Pick<HttpBench, 'send'>, name: string) =>
  ((await call(http, 'DescribeDeliveryStream', { DeliveryStreamName: name })) as Record<string, unknown>)[
    'DeliveryStreamDescription'
  ] as Record<string, unknown> & { Destinations: { IcebergDestinationDescription: Record<string, unknown> }[] }

const role = 'arn:aws:iam::123456789012:role/firehose'
const destination = (table: string, more: object = {}, tableMore: object = {}) => ({
  IcebergDestinationConfiguration: {
    RoleARN: role,
    CatalogConfiguration: { CatalogARN: 'arn:aws:glue:us-east-1:123456789012:catalog' },
    S3Configuration: { RoleARN: role, BucketARN: 'arn:aws:s3:::errors', ErrorOutputPrefix: 'error/' },
    DestinationTableConfigurationList: [{ DestinationDatabaseName: 'demo', DestinationTableName: table, ...tableMore }],
    BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 1 },
    ...more,
  },
})

test('limits hold, and are told in the words of the service', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const put = (records: unknown[]) => call(http, 'PutRecordBatch', { DeliveryStreamName: 'events', Records: records })
    const one = (record: unknown) => call(http, 'PutRecord', { DeliveryStreamName: 'events', Record: record })
    const large = Buffer.alloc(1000 * 1024, 0x20).toString('base64')
    const over = Buffer.alloc(1000 * 1024 + 1).toString('base64')
    const detected =
      /^400 ValidationException: 1 validation error detected: Value .* at '(\S+)' failed to satisfy constraint: (.*)$/
    const constraint = async (answer: Promise<unknown>) => detected.exec(String(await answer))?.slice(1)
    assert.deepEqual(await constraint(call(http, 'PutRecord', {})), ['deliveryStreamName', 'Member must not be null'])
    assert.deepEqual(await constraint(one(undefined)), ['record', 'Member must not be null'])
    assert.deepEqual(await constraint(one({})), ['record.data', 'Member must not be null'])
    const tooLong = 'Member must have length less than or equal to 1024000'
    assert.deepEqual(await constraint(one({ Data: over })), ['record.data', tooLong])
    assert.deepEqual(await constraint(put([{ Data: '' }, { Data: over }])), ['records.2.member.data', tooLong])
    assert.deepEqual(await constraint(put([])), ['records', 'Member must have length greater than or equal to 1'])
    const records = Array.from({ length: 501 }, () => ({ Data: base64({ id: 1 }) }))
    assert.deepEqual(await constraint(put(records)), ['records', 'Member must have length less than or equal to 500'])
    assert.equal(
      await put(Array.from({ length: 5 }, () => ({ Data: large }))),
      '400 InvalidArgumentException: Records size exceeds 4 MB limit',
    )
    const name = (text: string) => constraint(call(http, 'DescribeDeliveryStream', { DeliveryStreamName: text }))
    assert.deepEqual(await name(''), ['deliveryStreamName', 'Member must have length greater than or equal to 1'])
    assert.deepEqual(await name('a'.repeat(65)), [
      'deliveryStreamName',
      'Member must have length less than or equal to 64',
    ])
    assert.match(String((await name('a/b'))?.[1]), /regular expression pattern/)
    assert.match(String(await call(http, 'PutRecord', '{')), /^400 SerializationException/)
    for (const data of ['*', 'YQ', 'YQ=', '=YQ=', 7])
      assert.match(String(await one({ Data: data })), /^400 SerializationException/, String(data))
    assert.match(String(await call(http, 'Nonsense', {})), /^400 UnknownOperationException/)
    assert.match(String(await call(http, 'toString', {})), /^400 UnknownOperationException/)
    assert.equal(
      await call(http, 'PutRecord', { DeliveryStreamName: 'none', Record: { Data: '' } }),
      '400 ResourceNotFoundException: Firehose none under account 000000000000 not found.',
    )
    const largest = (await one({ Data: large })) as { RecordId: string }
    assert.match(largest.RecordId, /^dead-letter-/, 'as large as may be, and no JSON')
  })
})

test('one invocation is taken once, and several objects in a record become a row each', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const input = {
      DeliveryStreamName: 'events',
      Records: [{ Data: base64('{"id":1}{"id":2}') }, { Data: base64('{"id":3}\n') }, { Data: base64('no') }],
    }
    const headers = { 'amz-sdk-invocation-id': 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6' }
    const first = (await call(http, 'PutRecordBatch', input, headers)) as { RequestResponses: { RecordId: string }[] }
    assert.deepEqual(await call(http, 'PutRecordBatch', input, headers), first)
    assert.deepEqual(
      first.RequestResponses.map(({ RecordId }) => RecordId.replace(/[0-9a-f]{32}/, '…')),
      ['00000000000000000001', '00000000000000000002', 'dead-letter-…'],
    )
    await http.bench.engine.drain()
    assert.deepEqual(await http.bench.sql('SELECT id FROM demo.events ORDER BY id'), [
      { id: 1n },
      { id: 2n },
      { id: 3n },
    ])
  })
})

test('more objects than one append takes are taken record by record, and the rest is told to come again', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const stream = http.bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    const { Fault } = await import('../base/fault.ts')
    let calls = 0
    stream.accept = (...args) => (++calls === 2 ? Promise.reject(new Fault('unavailable', 'full')) : accept(...args))
    const data = base64('{"id":1}'.repeat(3_000))
    const input = { DeliveryStreamName: 'events', Records: [{ Data: data }, { Data: data }, { Data: data }] }
    const answer = (await call(http, 'PutRecordBatch', input)) as {
      FailedPutCount: number
      RequestResponses: { ErrorCode?: string; ErrorMessage?: string }[]
    }
    assert.deepEqual(
      [answer.FailedPutCount, answer.RequestResponses.map(({ ErrorCode }) => ErrorCode)],
      [1, [undefined, 'ServiceUnavailableException', undefined]],
    )
    const over = { DeliveryStreamName: 'events', Record: { Data: base64('{"id":1}'.repeat(5_001)) } }
    assert.match(String(await call(http, 'PutRecord', over)), /InvalidArgumentException: .*at most 5000 JSON objects/)
  })
})

test('answers carry the ids that the clients of the service show', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    for (const operation of ['ListDeliveryStreams', 'Nonsense']) {
      const { headers } = await send('POST', '/', '{}', { 'x-amz-target': `Firehose_20150804.${operation}` })
      assert.match(headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/)
      assert.match(headers.get('x-amz-id-2') ?? '', /^[A-Za-z0-9+/]{64}$/)
      assert.equal(headers.get('content-type'), 'application/x-amz-json-1.1')
      assert.ok(!Number.isNaN(Date.parse(headers.get('date') ?? '')))
    }
  })
})

test('a stream is made with everything that its client says, described so, changed by version, and removed', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    await http.bench.engine.streams.create('first', { table: 'demo.there', columns: { id: 'LONG', at: 'DATE' } })
    await http.bench.engine.streams.remove('first')
    const made = {
      DeliveryStreamName: 'made',
      DeliveryStreamType: 'DirectPut',
      DeliveryStreamEncryptionConfigurationInput: { KeyType: 'AWS_OWNED_CMK' },
      Tags: [{ Key: 'team', Value: 'web' }],
      ...destination(
        'there',
        {
          ProcessingConfiguration: { Enabled: false },
          CloudWatchLoggingOptions: { Enabled: true, LogGroupName: 'g', LogStreamName: 's' },
          RetryOptions: { DurationInSeconds: 300 },
          S3BackupMode: 'FailedDataOnly',
          AppendOnly: true,
        },
        { S3ErrorOutputPrefix: 'there/' },
      ),
    }
    assert.deepEqual(await call(http, 'CreateDeliveryStream', made), {
      DeliveryStreamARN: 'arn:aws:firehose:us-east-1:000000000000:deliverystream/made',
    })
    assert.match(String(await call(http, 'CreateDeliveryStream', made)), /^400 ResourceInUseException/)
    const before = await described(http, 'made')
    const { IcebergDestinationDescription: shown } = before.Destinations[0]!
    assert.deepEqual(
      [before['VersionId'], before['DeliveryStreamEncryptionConfiguration']],
      ['1', { KeyType: 'AWS_OWNED_CMK', Status: 'ENABLED' }],
    )
    const { S3Configuration, ...asked } = made.IcebergDestinationConfiguration
    assert.deepEqual(shown, {
      ...asked,
      SchemaEvolutionConfiguration: { Enabled: false },
      S3DestinationDescription: {
        BufferingHints: { SizeInMBs: 5, IntervalInSeconds: 300 },
        CompressionFormat: 'UNCOMPRESSED',
        EncryptionConfiguration: { NoEncryptionConfig: 'NoEncryption' },
        ...S3Configuration,
      },
    })
    const update = (version: string, changes: object, id = 'destinationId-000000000001') =>
      call(http, 'UpdateDestination', {
        DeliveryStreamName: 'made',
        CurrentDeliveryStreamVersionId: version,
        DestinationId: id,
        ...changes,
      })
    const hints = { IcebergDestinationUpdate: { BufferingHints: { IntervalInSeconds: 30 } } }
    assert.match(String(await update('2', hints)), /^400 ConcurrentModificationException/)
    assert.match(String(await update('1', hints, 'destinationId-2')), /^400 InvalidArgumentException/)
    assert.match(String(await update('1', { ExtendedS3DestinationUpdate: {} })), /^400 InvalidArgumentException/)
    assert.deepEqual(await update('1', hints), {})
    const after = await described(http, 'made')
    assert.deepEqual(
      [after['VersionId'], after.Destinations[0]?.IcebergDestinationDescription['BufferingHints']],
      ['2', { SizeInMBs: 1, IntervalInSeconds: 30 }],
    )
    assert.equal(typeof after['LastUpdateTimestamp'], 'number')
    assert.deepEqual(after.Destinations[0]?.IcebergDestinationDescription['RetryOptions'], { DurationInSeconds: 300 })
    assert.match(String(await update('1', hints)), /^400 ConcurrentModificationException/)
    const many = await Promise.all(
      [40, 41, 42, 43, 44, 45, 46, 47].map((IntervalInSeconds) =>
        update('2', { IcebergDestinationUpdate: { BufferingHints: { IntervalInSeconds } } }),
      ),
    )
    const refused = many.filter((answer) => /ConcurrentModificationException/.test(String(answer)))
    assert.equal(refused.length, 7, 'of several at once with one version, one wins')
    assert.equal((await described(http, 'made'))['VersionId'], '3')
    const elsewhere = (table: string) => ({
      IcebergDestinationUpdate: {
        DestinationTableConfigurationList: [{ DestinationDatabaseName: 'demo', DestinationTableName: table }],
      },
    })
    assert.match(String(await update('3', elsewhere('events'))), /^400 ResourceInUseException: .*stream events/)
    const put = { DeliveryStreamName: 'made', Record: { Data: base64({ id: 7 }) } }
    assert.match(JSON.stringify(await call(http, 'PutRecord', put)), /"RecordId":"\d{20}","Encrypted":false/)
    assert.deepEqual(await update('3', elsewhere('else')), {})
    assert.match(JSON.stringify(await call(http, 'PutRecord', put)), /"RecordId":"\d{20}","Encrypted":false/)
    assert.deepEqual(await call(http, 'DeleteDeliveryStream', { DeliveryStreamName: 'made' }), {})
    assert.match(String(await call(http, 'DescribeDeliveryStream', { DeliveryStreamName: 'made' })), /ResourceNotFound/)
    assert.match(
      String(await call(http, 'DeleteDeliveryStream', { DeliveryStreamName: 'events' })),
      /^400 ResourceInUseException/,
      'the configuration names it',
    )
    assert.deepEqual(await http.bench.sql('SELECT id FROM demo.there'), [{ id: 7n }])
    assert.deepEqual(await http.bench.sql('SELECT id FROM demo."else"'), [{ id: 7n }], 'made by its first record')
  })
})

test('what cannot be done is refused by name, and nothing is passed over', async () => {
  await withServer({}, {}, async (http) => {
    await http.bench.engine.streams.create('first', { table: 'demo.there', columns: { id: 'LONG' } })
    await http.bench.engine.streams.remove('first')
    const processing = (type: string, parameters: [string, string][] = []) => ({
      ProcessingConfiguration: {
        Enabled: true,
        Processors: [
          {
            Type: type,
            Parameters: parameters.map(([ParameterName, ParameterValue]) => ({ ParameterName, ParameterValue })),
          },
        ],
      },
    })
    const refused = async (input: object, expected: RegExp) =>
      assert.match(String(await call(http, 'CreateDeliveryStream', { DeliveryStreamName: 'x', ...input })), expected)
    await refused({}, /^400 InvalidArgumentException: Exactly one destination/)
    await refused({ ExtendedS3DestinationConfiguration: {} }, /ExtendedS3DestinationConfiguration cannot be done/)
    await refused({ DeliveryStreamType: 'KinesisStreamAsSource', ...destination('there') }, /expected DirectPut/)
    await refused(destination('there', { Unheard: 1 }), /Unheard cannot be done/)
    await refused(destination('there', processing('Lambda', [['LambdaArn', 'a']])), /type "Lambda" is not run here/)
    for (const query of ['', '.type', '{}', '{destinationTableName}', '{tableName: .a}', '{operation: .a, x: .b}'])
      await refused(
        destination('there', processing('MetadataExtraction', [['MetadataExtractionQuery', query]])),
        /MetadataExtractionQuery: expected/,
      )
    const two = ['there', 'other'].map((table) => ({ DestinationDatabaseName: 'demo', DestinationTableName: table }))
    await refused(destination('there', { DestinationTableConfigurationList: two }), /several tables need/)
    await refused(destination('there', { DestinationTableConfigurationList: [two[0], two[0]] }), /there twice/)
    await refused(destination('there', processing('RecordDeAggregation', [['SubRecordType', 'DELIMITED']])), /not run/)
    await refused(destination('there', { S3BackupMode: 'AllData' }), /expected FailedDataOnly/)
    await refused(destination('there', { AppendOnly: true }, { UniqueKeys: ['id'] }), /AppendOnly/)
    await refused(destination('there', { BufferingHints: { SizeInMBs: 129 } }), /buffer\.mebibytes/)
    await refused(destination('there', {}, { Other: 1 }), /Other cannot be done/)
    await refused(destination('there', { DestinationTableConfigurationList: [] }), /expected one table or more/)
    await refused(destination('none', { TableCreationConfiguration: { Enabled: false } }), /there is no table/)
    await refused({ ...destination('there'), Tags: [{ Key: 'aws:x' }] }, /^400 ValidationException/)
    const done = destination('there', processing('RecordDeAggregation', [['SubRecordType', 'JSON']]))
    assert.match(JSON.stringify(await call(http, 'CreateDeliveryStream', { DeliveryStreamName: 'x', ...done })), /ARN/)
  })
})

test('tables that are not there are made from the first records, and records are routed among several', async () => {
  await withServer({}, {}, async (http) => {
    const table = (name: string, more: object = {}) => ({
      DestinationDatabaseName: 'demo',
      DestinationTableName: name,
      ...more,
    })
    const tables = [
      table('orders', { UniqueKeys: ['id'] }),
      table('visits', { PartitionSpec: { Identity: [{ SourceName: 'page' }] }, S3ErrorOutputPrefix: 'visits/' }),
    ]
    const query = '{destinationDatabaseName: "demo", "destinationTableName": .kind, operation: .op // "insert"}'
    const extraction = {
      Enabled: true,
      Processors: [
        {
          Type: 'MetadataExtraction',
          Parameters: [
            { ParameterName: 'MetadataExtractionQuery', ParameterValue: query },
            { ParameterName: 'JsonParsingEngine', ParameterValue: 'JQ-1.6' },
          ],
        },
      ],
    }
    const made = {
      DeliveryStreamName: 'made',
      ...destination('orders', {
        DestinationTableConfigurationList: tables,
        ProcessingConfiguration: extraction,
      }),
    }
    assert.match(JSON.stringify(await call(http, 'CreateDeliveryStream', made)), /ARN/)
    const { IcebergDestinationDescription: shown } = (await described(http, 'made')).Destinations[0]!
    assert.deepEqual(shown['DestinationTableConfigurationList'], tables)
    assert.deepEqual(shown['ProcessingConfiguration'], extraction)
    const records = [
      { kind: 'orders', id: 1, price: 1.5 },
      { kind: 'visits', page: '/', at: 1 },
      { kind: 'orders', id: 1, price: 2.5, op: 'update' },
      { kind: 'others', id: 1 },
    ]
    const put = { DeliveryStreamName: 'made', Records: records.map((record) => ({ Data: base64(record) })) }
    const { RequestResponses } = (await call(http, 'PutRecordBatch', put)) as {
      RequestResponses: { RecordId: string }[]
    }
    assert.deepEqual(
      RequestResponses.map(({ RecordId }) => RecordId.slice(0, 11)),
      ['00000000000', '00000000000', '00000000000', 'dead-letter'],
    )
    await http.bench.engine.drain()
    assert.deepEqual(await http.bench.sql('SELECT id, price FROM demo.orders'), [{ id: 1n, price: 2.5 }])
    assert.deepEqual(await http.bench.sql('SELECT page FROM demo.visits'), [{ page: '/' }])
    const [file] = await http.bench.sql('SELECT partition.page AS page FROM demo.visits.files')
    assert.deepEqual(file, { page: '/' })
  })
})

test('names come a page at a time, by type, and the address says the region of the client', async () => {
  const streams = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, { ...events, table: `demo.${name}` }]))
  await withServer({ streams }, {}, async (http) => {
    const names = (input: object) => call(http, 'ListDeliveryStreams', input)
    const page = (found: string[], more: boolean) => ({ DeliveryStreamNames: found, HasMoreDeliveryStreams: more })
    assert.deepEqual(await names({}), page(['a', 'b', 'c'], false))
    assert.deepEqual(await names({ Limit: 2 }), page(['a', 'b'], true))
    const rest = { Limit: 2, ExclusiveStartDeliveryStreamName: 'b', DeliveryStreamType: 'DirectPut' }
    assert.deepEqual(await names(rest), page(['c'], false))
    assert.deepEqual(await names({ DeliveryStreamType: 'MSKAsSource' }), page([], false))
    for (const limit of [0, 10_001]) assert.match(String(await names({ Limit: limit })), /^400 ValidationException/)
    const signed = {
      authorization: `AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/firehose/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`,
    }
    assert.match(
      JSON.stringify(await call(http, 'DescribeDeliveryStream', { DeliveryStreamName: 'a' }, signed)),
      /arn:aws:firehose:eu-west-1:000000000000:deliverystream\/a/,
    )
  })
})

test('tags and the state of encryption are kept, and all of it outlives a restart', async () => {
  await withServer({}, {}, async (http) => {
    const { bench } = http
    await bench.engine.streams.create('first', { table: 'demo.there', columns: { id: 'LONG' } })
    await bench.engine.streams.remove('first')
    const named = { DeliveryStreamName: 'x' }
    await call(http, 'CreateDeliveryStream', { ...named, ...destination('there'), Tags: [{ Key: 'a', Value: '1' }] })
    const tag = (tags: object[]) => call(http, 'TagDeliveryStream', { ...named, Tags: tags })
    assert.deepEqual(await tag([{ Key: 'b' }, { Key: 'a', Value: '2' }]), {})
    assert.match(String(await tag([])), /^400 ValidationException/)
    assert.match(String(await tag([{ Key: 'a', Value: '€' }])), /^400 ValidationException/)
    const more = Array.from({ length: 49 }, (_, at) => ({ Key: `t${at}` }))
    assert.match(String(await tag(more)), /^400 LimitExceededException/)
    const list = (input: object = {}) => call(http, 'ListTagsForDeliveryStream', { ...named, ...input })
    const two = [
      { Key: 'a', Value: '2' },
      { Key: 'b', Value: '' },
    ]
    assert.deepEqual(await list(), { Tags: two, HasMoreTags: false })
    assert.deepEqual(await list({ Limit: 1 }), { Tags: two.slice(0, 1), HasMoreTags: true })
    assert.deepEqual(await list({ ExclusiveStartTagKey: 'a' }), { Tags: two.slice(1), HasMoreTags: false })
    assert.deepEqual(await call(http, 'UntagDeliveryStream', { ...named, TagKeys: ['b'] }), {})

    const start = (input: object) => call(http, 'StartDeliveryStreamEncryption', { ...named, ...input })
    assert.match(
      String(await start({ DeliveryStreamEncryptionConfigurationInput: { KeyType: 'CUSTOMER_MANAGED_CMK' } })),
      /^400 InvalidArgumentException/,
    )
    assert.deepEqual(await start({}), {})
    assert.deepEqual((await described(http, 'x'))['DeliveryStreamEncryptionConfiguration'], {
      KeyType: 'AWS_OWNED_CMK',
      Status: 'ENABLED',
    })
    assert.deepEqual(await call(http, 'StopDeliveryStreamEncryption', named), {})
    assert.match(
      JSON.stringify(await call(http, 'PutRecord', { ...named, Record: { Data: base64({ id: 1 }) } })),
      /"Encrypted":false/,
    )
    const before = await described(http, 'x')

    await bench.restart()
    const { streams, clock } = bench.engine
    const options = { streams, clock, reader: bench.engine, host: '127.0.0.1', port: 0, keys: [], cors: [] }
    const server = await startServer({
      ...options,
      replay: () => assert.fail('nothing is sent again'),
      reextract: () => assert.fail('nothing is made anew'),
      onUnexpected: (error) => assert.fail(String(error)),
    })
    try {
      const again: Pick<HttpBench, 'send'> = {
        send: async (method, path, body, headers = {}) => {
          const response = await fetch(`${server.url}${path}`, { method, headers, body: String(body) })
          return { status: response.status, headers: response.headers, body: await response.json() }
        },
      }
      assert.deepEqual(await described(again, 'x'), before)
      assert.deepEqual(await call(again, 'ListTagsForDeliveryStream', named), {
        Tags: two.slice(0, 1),
        HasMoreTags: false,
      })
      await call(again, 'PutRecord', { ...named, Record: { Data: base64({ id: 2 }) } })
    } finally {
      await server.close()
    }
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id FROM demo.there ORDER BY id'), [{ id: 1n }, { id: 2n }])
  })
})
