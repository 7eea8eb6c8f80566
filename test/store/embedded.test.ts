import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import { makeFolder, removeFolder, smallStore } from './embedded-scene.ts'
import { runStoreSuite } from './store.suite.ts'

runStoreSuite('embedded', () => {
  const folder = makeFolder()
  return {
    open: () => openEmbeddedStore({ ...smallStore, folder }),
    remove: async () => removeFolder(folder),
    openAt: (copy) => openEmbeddedStore({ ...smallStore, folder: copy }),
  }
})
