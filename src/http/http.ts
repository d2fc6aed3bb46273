/** The door of the HTTP room. */
export { type ApiKey, parseKeys } from './access.ts'
export { PORT_DEFAULT, type Server, type ServerOptions, startServer } from './server.ts'
