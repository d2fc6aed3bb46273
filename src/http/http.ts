/** The door of the HTTP room. */
export { type ApiKey, parseKeys } from './access.ts'
export { type BucketHolds, type BucketTurn, turnLine } from './bucket-troubles.ts'
export { KeyFile } from './key-file.ts'
export { Metrics } from './metrics.ts'
export { PORT_DEFAULT, type Server, type ServerOptions, startServer } from './server.ts'
