/** A real Kafka broker for tests: started once its jars are installed, stopped, killed, and started again on the same data. */
import { freePorts, Service } from './service.ts'

export class KafkaBroker {
  readonly #service: Service
  readonly #innerPort: number

  private constructor(service: Service, innerPort: number) {
    this.#service = service
    this.#innerPort = innerPort
  }

  /** @param env e.g. keys for TLS: see `services/kafka.sh` */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<KafkaBroker> {
    const [port = 0, controller = 0, inner = 0] = await freePorts(3)
    const ports = { CONTROLLER_PORT: String(controller), INNER_PORT: String(inner) }
    return new KafkaBroker(await Service.start('kafka', { port, env: { ...ports, ...env }, keepsData: true }), inner)
  }

  get port(): number {
    return this.#service.port
  }

  get address(): string {
    return this.#service.address
  }

  /** The port without TLS, of a broker that has one with it. */
  get innerAddress(): string {
    return `127.0.0.1:${this.#innerPort}`
  }

  start(): Promise<void> {
    return this.#service.start()
  }

  /** Ends it in order, or without warning. Its data stay. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#service.stop(signal)
  }

  remove(): Promise<void> {
    return this.#service.remove()
  }
}
