/** Tags of delivery streams: names and values for their users, 50 of them. */
import { isFault } from '../base/fault.ts'
import type { Streams } from '../service/streams/streams.ts'
import { AwsProblem, missing, validation } from './aws-problem.ts'
import { type Input, isInput } from './firehose-settings.ts'

const PAGE_MAX = 50
const KEY = /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@%]{1,128}$/u
const VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@%]{0,256}$/u

type TagOperation = 'TagDeliveryStream' | 'UntagDeliveryStream' | 'ListTagsForDeliveryStream'

/** @throws AwsProblem */
export async function tagCall(operation: TagOperation, streams: Streams, name: string, input: Input): Promise<object> {
  switch (operation) {
    case 'TagDeliveryStream':
      await tagStream(streams, name, tagsOf(input['Tags']))
      return {}
    case 'UntagDeliveryStream': {
      const keys = input['TagKeys']
      if (!Array.isArray(keys)) throw missing('tagKeys')
      await streams.untag(name, keys.map(String))
      return {}
    }
    case 'ListTagsForDeliveryStream':
      return pageOf(streams.tags(name), input)
  }
}

export async function tagStream(streams: Streams, name: string, tags: ReadonlyMap<string, string>): Promise<void> {
  try {
    await streams.tag(name, tags)
  } catch (error) {
    if (isFault(error, 'limit')) throw new AwsProblem('LimitExceededException', error.message)
    throw error
  }
}

/** @throws AwsProblem */
export function tagsOf(value: unknown): Map<string, string> {
  if (!Array.isArray(value)) throw missing('tags')
  if (value.length < 1 || value.length > PAGE_MAX)
    throw validation(
      `'[${value.length} tags]'`,
      'tags',
      `Member must have length ${value.length < 1 ? 'greater than or equal to 1' : `less than or equal to ${PAGE_MAX}`}`,
    )
  return new Map(
    value.map((tag: unknown, at): [string, string] => {
      const where = `tags.${at + 1}.member`
      const key = isInput(tag) ? tag['Key'] : undefined
      const text = (isInput(tag) ? tag['Value'] : undefined) ?? ''
      if (typeof key !== 'string') throw missing(`${where}.key`)
      if (!KEY.test(key))
        throw validation(
          `'${key.slice(0, 80)}'`,
          `${where}.key`,
          `Member must satisfy regular expression pattern: ${KEY.source}`,
        )
      if (typeof text !== 'string' || !VALUE.test(text))
        throw validation(
          `'${String(text).slice(0, 80)}'`,
          `${where}.value`,
          `Member must satisfy regular expression pattern: ${VALUE.source}`,
        )
      return [key, text]
    }),
  )
}

function pageOf(tags: ReadonlyMap<string, string>, input: Input): object {
  const limit = input['Limit'] ?? PAGE_MAX
  if (!Number.isInteger(limit) || Number(limit) < 1 || Number(limit) > PAGE_MAX)
    throw validation(`'${String(limit).slice(0, 20)}'`, 'limit', `Member must have value between 1 and ${PAGE_MAX}`)
  const after = input['ExclusiveStartTagKey']
  const rest = [...tags]
    .filter(([key]) => typeof after !== 'string' || key > after)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return {
    Tags: rest.slice(0, Number(limit)).map(([Key, Value]) => ({ Key, Value })),
    HasMoreTags: rest.length > Number(limit),
  }
}
