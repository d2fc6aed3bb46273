/** Groups of Kafka among all sources of a configuration: each source wants one of its own. */
import type { z } from 'zod'
import { kafkaGroup } from '../../service/streams/sources/settings.ts'
import type { ObjectsSettings } from './objects.ts'
import type { sourcesSettings } from './streams.ts'

export interface Sources {
  sources: z.output<typeof sourcesSettings>
  objects: Pick<ObjectsSettings, 'sources'>
}

/**
 * Members of one Kafka group share its partitions out, so that each of two sources would get a part of the messages that both want.
 * Where brokers differ altogether, it is a group of another cluster.
 */
export function sharedGroups({ sources, objects }: Sources): string[] {
  const members = [
    ...Object.entries(sources).flatMap(([name, { kafka }]) =>
      kafka === undefined ? [] : [{ at: `sources.${name}`, setting: 'kafka.group', name, kafka }],
    ),
    ...Object.entries(objects.sources).flatMap(([name, source]) =>
      source.type === 'kafka' ? [{ at: `objects.sources.${name}`, setting: 'group', name, kafka: source }] : [],
    ),
  ].map(({ name, ...member }) => ({ ...member, group: kafkaGroup(name, member.kafka) }))
  return members.flatMap(({ at, setting, kafka, group }, place) => {
    const other = members
      .slice(0, place)
      .find(
        (member) =>
          member.group === group &&
          shared(member.kafka.brokers, kafka.brokers).length > 0 &&
          shared(member.kafka.topics, kafka.topics).length > 0,
      )
    if (other === undefined) return []
    const topics = shared(other.kafka.topics, kafka.topics).join(', ')
    return [
      `${at}.${setting}: expected a group of its own, got "${group}", by which ${other.at} reads ${topics} too: each would get a part of the messages`,
    ]
  })
}

function shared(one: readonly string[], other: readonly string[]): string[] {
  return one.filter((item) => other.includes(item))
}
