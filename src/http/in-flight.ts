/** Bytes of bodies that are held over all requests, so that many senders at once cannot take all memory. */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

/** What one request holds. */
export interface Hold {
  /** @throws Fault `unavailable` when all requests together would hold too much */
  grow(bytes: number): void
  /** Lets go of everything held so far. */
  release(): void
}

export class InFlight {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number = limits.httpInFlightBytesMax) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  hold(): Hold {
    let held = 0
    return {
      grow: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax)
          throw new Fault(
            'unavailable',
            `the server holds ${this.#bytes} bytes of requests that are not answered yet, at most ${this.#bytesMax} may be; send again later`,
            { inFlightBytes: this.#bytes },
          )
        this.#bytes += bytes
        held += bytes
      },
      release: () => {
        this.#bytes -= held
        held = 0
      },
    }
  }
}
