/** Failures as the AWS JSON protocol names them, with the service's own words where its clients show or compare them. */
import { type Failure, failureOf } from './status.ts'

/** A failure with the protocol's own name. */
export class AwsProblem extends Error {
  readonly type: string
  readonly status: number

  constructor(type: string, message: string, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}

export const ACCOUNT = '000000000000'

/** A member that breaks a constraint of the service's model. @param member path as the service writes it, e.g. `record.data` */
export function validation(value: string, member: string, constraint: string): AwsProblem {
  return new AwsProblem(
    'ValidationException',
    `1 validation error detected: Value ${value} at '${member}' failed to satisfy constraint: ${constraint}`,
  )
}

export function missing(member: string): AwsProblem {
  return validation('null', member, 'Member must not be null')
}

export function invalidArgument(message: string): AwsProblem {
  return new AwsProblem('InvalidArgumentException', message)
}

/** What cannot be taken at the moment: SDKs send it again after a pause. */
export const SLOW_DOWN = { type: 'ServiceUnavailableException', message: 'Slow down.' } as const

export interface AwsFailure {
  status: number
  body: { __type: string; message: string }
  failure: Failure
}

/** A failure in the protocol's shape. */
export function awsFailure(error: unknown): AwsFailure {
  const failure = failureOf(error)
  const { kind, message } = failure
  const told = (type: string, status: number, words = message): AwsFailure => ({
    status,
    body: { __type: type, message: words },
    failure: { ...failure, status },
  })
  if (error instanceof AwsProblem) return told(error.type, error.status, error.message)
  switch (kind) {
    case 'not-found':
      return told('ResourceNotFoundException', 400)
    case 'conflict':
      return told('ResourceInUseException', 400)
    case 'limit':
      return failure.status === 413 ? told('RequestEntityTooLargeException', 413) : told('LimitExceededException', 400)
    case 'unavailable':
    case 'commit-unknown':
    case 'cancelled':
      return told(SLOW_DOWN.type, 503, `${SLOW_DOWN.message} ${message}`)
    case 'timeout':
      return told('RequestTimeoutException', 408)
    case 'invalid':
    case 'unsupported':
      return told('InvalidArgumentException', 400)
    case 'unauthenticated':
      return told('MissingAuthenticationTokenException', 403)
    case 'forbidden':
      return told('AccessDeniedException', 403)
    case 'superseded':
    case 'corrupt':
    case 'unexpected':
      return told('InternalFailure', 500)
  }
}
