/**
 * How to reach an S3 or a store that speaks its protocol, from the properties that Iceberg's S3FileIO and PyIceberg have for it.
 * What is not given comes from AWS's own chain: environment variables, profiles, roles.
 */

export interface S3Connection {
  /** Absent: AWS. */
  readonly endpoint?: string
  readonly region?: string
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** A profile of AWS's files, in place of credentials. */
  readonly profile?: string
  /** Requests are not signed: for public buckets. */
  readonly anonymous: boolean
  /** `endpoint/bucket/key` rather than `bucket.endpoint/key`. Default: true where an endpoint is given. */
  readonly pathStyle: boolean
  /** The secret stands in the configuration as it is: worth a note to whoever runs it. */
  readonly literalSecret: boolean
}

export interface PropertyProblem {
  /** Where in the configuration, e.g. `s3.default["s3.endpoint"]`. */
  readonly path: string
  readonly message: string
}

export type ParsedS3 = { readonly connection: S3Connection } | { readonly problems: readonly PropertyProblem[] }

/** Property → field. Two names of one field are the two that Iceberg's programs have for it; both at once must agree. */
const fields = {
  's3.endpoint': 'endpoint',
  's3.region': 'region',
  'client.region': 'region',
  's3.access-key-id': 'accessKeyId',
  'client.access-key-id': 'accessKeyId',
  's3.secret-access-key': 'secretAccessKey',
  'client.secret-access-key': 'secretAccessKey',
  's3.session-token': 'sessionToken',
  'client.session-token': 'sessionToken',
  's3.profile-name': 'profile',
  'client.profile-name': 'profile',
  's3.path-style-access': 'pathStyle',
  's3.force-virtual-addressing': 'virtualStyle',
  's3.anonymous': 'anonymous',
} as const

type Field = (typeof fields)[keyof typeof fields]

/**
 * @param properties flat keys as Iceberg has them; `env:NAME` as a value names an environment variable
 * @param path where they stand, for messages
 * @param env the environment: of the process, or of a test
 * @returns the connection, or every problem of the properties
 */
export function parseS3Properties(
  properties: Readonly<Record<string, unknown>>,
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): ParsedS3 {
  const problems: PropertyProblem[] = []
  const given = new Map<Field, { value: string; property: string; literal: boolean }>()
  /** Fields whose property has a problem: they are not missing. */
  const wrong = new Set<Field>()
  const at = (property: string): string => `${path}[${JSON.stringify(property)}]`
  const problem = (property: string, message: string): void => void problems.push({ path: at(property), message })

  for (const [property, raw] of Object.entries(properties)) {
    const field = fields[property as keyof typeof fields]
    if (field === undefined) {
      problem(property, `is no property of an S3 connection; those are ${Object.keys(fields).join(', ')}`)
      continue
    }
    if (!['string', 'boolean'].includes(typeof raw)) {
      wrong.add(field)
      problem(property, `expected text, got ${raw === null ? 'null' : typeof raw}`)
      continue
    }
    const text = String(raw)
    const variable = /^env:(.+)$/.exec(text)?.[1]
    const value = variable === undefined ? text : env[variable]
    if (value === undefined || value === '') {
      wrong.add(field)
      problem(property, variable === undefined ? 'is empty' : `the environment variable ${variable} is not set`)
      continue
    }
    const other = given.get(field)
    if (other !== undefined && other.value !== value) {
      problem(property, `says something else than "${other.property}", which means the same; leave one out`)
      continue
    }
    given.set(field, { value, property, literal: variable === undefined })
  }

  const text = (field: Field): string | undefined => given.get(field)?.value
  const flag = (field: Field): boolean | undefined => {
    const found = given.get(field)
    if (found === undefined) return undefined
    if (!/^(true|false)$/i.test(found.value)) problem(found.property, `expected true or false, got "${found.value}"`)
    return /^true$/i.test(found.value)
  }

  const endpoint = text('endpoint')
  if (endpoint !== undefined && !isHttpUrl(endpoint)) {
    problem('s3.endpoint', `expected a URL such as http://127.0.0.1:9000, got "${endpoint}"`)
  }
  const pathStyle = flag('pathStyle')
  const virtualStyle = flag('virtualStyle')
  if (pathStyle !== undefined && pathStyle === virtualStyle) {
    problem('s3.force-virtual-addressing', 'contradicts "s3.path-style-access"; leave one out')
  }
  const accessKeyId = text('accessKeyId')
  const secretAccessKey = text('secretAccessKey')
  const sessionToken = text('sessionToken')
  if (accessKeyId !== undefined && secretAccessKey === undefined && !wrong.has('secretAccessKey')) {
    problem('s3.secret-access-key', 'is missing beside "s3.access-key-id"')
  }
  const isAlone = secretAccessKey !== undefined || sessionToken !== undefined
  if (accessKeyId === undefined && isAlone && !wrong.has('accessKeyId')) {
    problem('s3.access-key-id', 'is missing beside the secret or the session token')
  }
  const profile = text('profile')
  if (profile !== undefined && accessKeyId !== undefined) {
    problem(given.get('profile')!.property, 'and an access key are two ways to say who asks; leave one out')
  }
  const anonymous = flag('anonymous') ?? false
  if (problems.length > 0) return { problems }
  const region = text('region')
  return {
    connection: {
      ...(endpoint !== undefined && { endpoint: endpoint.replace(/\/+$/, '') }),
      ...(region !== undefined && { region }),
      ...(accessKeyId !== undefined &&
        secretAccessKey !== undefined && {
          credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
        }),
      ...(profile !== undefined && { profile }),
      anonymous,
      pathStyle: pathStyle ?? (virtualStyle === undefined ? endpoint !== undefined : !virtualStyle),
      literalSecret: given.get('secretAccessKey')?.literal ?? false,
    },
  }
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
