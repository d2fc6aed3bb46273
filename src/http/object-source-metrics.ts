/** What sources of objects count, for Prometheus: totals and states as they are at each look. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { ObjectSourceStatus } from '../service/objects/objects.ts'

export class ObjectSourceMetrics {
  readonly #registry: Registry
  readonly #received: Counter
  readonly #accepted: Counter
  readonly #ignored: Counter
  readonly #problems: Counter
  readonly #deleted: Counter
  readonly #undeleted: Counter
  readonly #waiting: Gauge
  readonly #inFlight: Gauge
  readonly #oldest: Gauge
  readonly #trouble: Gauge

  constructor(registry: Registry) {
    this.#registry = registry
    this.#received = this.#counter('received', 'Notifications received.')
    this.#accepted = this.#counter('accepted', 'Events that are durable; repeated ones are counted too.')
    this.#ignored = this.#counter('ignored', 'What is no event, rightly, by reason.', ['reason'])
    this.#problems = this.#counter('problems', 'Dead letters of what could not be understood.')
    this.#deleted = this.#counter('deleted', 'Messages deleted from queues.')
    this.#undeleted = this.#counter('undeleted', 'Messages that could not be deleted: they come again.')
    this.#waiting = this.#gauge('waiting', 'Notifications that are there and not received, as far as it knows.')
    this.#inFlight = this.#gauge('in_flight', 'Notifications that are being worked on.')
    this.#oldest = this.#gauge(
      'oldest_seconds',
      'Age of the oldest notification of the last receipt; 0: there was none.',
    )
    this.#trouble = this.#gauge('trouble', '1 while a source cannot receive or hand over.')
  }

  look(sources: readonly ObjectSourceStatus[]): void {
    for (const metric of [
      this.#received,
      this.#accepted,
      this.#ignored,
      this.#problems,
      this.#deleted,
      this.#undeleted,
    ])
      metric.reset()
    for (const metric of [this.#waiting, this.#inFlight, this.#oldest, this.#trouble]) metric.reset()
    for (const { source, type, taken, ...status } of sources) {
      const labels = { source, type }
      this.#received.inc(labels, status.received)
      this.#accepted.inc(labels, taken.accepted)
      this.#problems.inc(labels, taken.problems)
      for (const [reason, count] of Object.entries(taken.ignored)) this.#ignored.inc({ ...labels, reason }, count)
      if (status.deleted !== undefined) this.#deleted.inc(labels, status.deleted)
      if (status.undeleted !== undefined) this.#undeleted.inc(labels, status.undeleted)
      if (status.waiting !== null) this.#waiting.set(labels, status.waiting)
      this.#inFlight.set(labels, status.inFlight)
      this.#oldest.set(labels, status.oldestSeconds ?? 0)
      this.#trouble.set(labels, status.trouble === null ? 0 : 1)
    }
  }

  #counter(name: string, help: string, more: string[] = []): Counter {
    const labelNames = ['source', 'type', ...more]
    return new Counter({ name: `tidewater_object_source_${name}_total`, help, labelNames, registers: [this.#registry] })
  }

  #gauge(name: string, help: string): Gauge {
    const labelNames = ['source', 'type']
    return new Gauge({ name: `tidewater_object_source_${name}`, help, labelNames, registers: [this.#registry] })
  }
}
