/**
 * The tables that follow a log of their own (journal, inventory, content, dead letters): each with its writer, its upkeep and the
 * feed that commits what the log holds.
 */
import type { Slots } from '../base/slots.ts'
import type { Log } from '../log/log.ts'
import type { DeadLetters } from '../service/deadletter/deadletter.ts'
import { TableFeed } from '../table/feed.ts'
import type { FeedEvent, TableDefinition } from '../table/table.ts'
import type { UpkeepLoop } from '../table/upkeep-loop.ts'
import { TableWriter } from '../table/writer.ts'
import type { Home } from './home.ts'
import type { Reader } from './reader.ts'

/** A table, and the log that it follows. */
export interface TablePart {
  log: Log
  definition: TableDefinition
}

export interface TableFeedsOptions {
  /** By the log's name. */
  parts: ReadonlyMap<string, TablePart>
  reader: Reader
  home: Pick<Home, 'indexPath'>
  upkeep: UpkeepLoop
  slots: { commit: Slots }
  /** For entries that no table can take. */
  deadLetters: DeadLetters
  lingerMs: number | undefined
  onEvent: (event: FeedEvent) => void
  /** Lets the log of that name forget what its table holds, where something else follows it too. */
  onPassed: ReadonlyMap<string, () => Promise<void>>
  /** Called with the closing of each part, in the order of opening. */
  onOpened: (close: () => Promise<unknown> | unknown) => void
}

export interface TableFeeds {
  feeds: ReadonlyMap<string, TableFeed>
  writers: ReadonlyMap<string, TableWriter>
}

export async function openTableFeeds(options: TableFeedsOptions): Promise<TableFeeds> {
  const { reader, home, upkeep, slots, deadLetters, lingerMs, onEvent, onPassed, onOpened } = options
  const { catalog, io, clock, duck } = reader
  const feeds = new Map<string, TableFeed>()
  const writers = new Map<string, TableWriter>()
  for (const [name, { log, definition }] of options.parts) {
    const writer = await TableWriter.open(
      { catalog, io, session: await duck.connect(), clock },
      { definition, indexPath: home.indexPath(name), logName: name },
    )
    onOpened(() => writer.close())
    const kept = upkeep.add(writer)
    onOpened(() => kept.remove())
    writers.set(name, writer)
    const passed = onPassed.get(name)
    const feed = await TableFeed.open({
      writer,
      log,
      clock,
      slots,
      onEvent,
      onPoison: (text, reason) =>
        deadLetters.add([
          {
            stage: 'commit',
            stream: name,
            code: reason.kind,
            reason: reason.message,
            payload: Buffer.from(text),
            subject: writer.name,
          },
        ]),
      upkeep: () => kept.due(),
      ...(passed === undefined ? {} : { onPassed: passed }),
      ...(lingerMs === undefined ? {} : { lingerMs }),
    })
    feeds.set(name, feed)
  }
  return { feeds, writers }
}
