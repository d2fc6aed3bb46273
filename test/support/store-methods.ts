/** A store with other answers for some of its methods: one that fails, counts or is overtaken. */
import type { BucketStore } from '../../src/store/store.ts'

export function withMethods(store: BucketStore, methods: Partial<BucketStore>): BucketStore {
  return new Proxy(store, {
    get: (target, name) => {
      const method = (methods as Record<string | symbol, unknown>)[name] ?? Reflect.get(target, name)
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}
