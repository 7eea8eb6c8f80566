import { MillraceError } from '../event/error.ts'
import {
  countModel,
  type ModelItem,
  type ModelStore,
  modelParts,
  type StoredModel,
} from '../store/models.ts'

/** A model as it was read and checked. */
export interface ReadModel extends StoredModel {
  readonly items: ReadonlyMap<string, ModelItem>
}

/**
 * Reads a whole model and compares it with what its maker counted.
 * @throws MillraceError `model_unknown`; `model_incomplete` when it is half written, or something of
 *   it is not there; what the store throws
 */
export async function readModel(models: ModelStore, version: string): Promise<ReadModel> {
  const stored = (await models.list()).find((each) => each.version === version)
  if (stored === undefined) throw new MillraceError('model_unknown', version)
  const { counts } = stored
  if (counts === null) {
    throw new MillraceError('model_incomplete', `${version} was never finished`)
  }
  const items = new Map<string, ModelItem>()
  for (let part = 0; part < modelParts; part++) {
    for (const item of await models.part(version, part)) items.set(item.itemId, item)
  }
  const found = countModel(items.values())
  if (
    found.items !== counts.items ||
    found.pairs !== counts.pairs ||
    found.together !== counts.together
  ) {
    const detail = `${version} has ${found.items} items with ${found.pairs} neighbours, not ${counts.items} with ${counts.pairs}`
    throw new MillraceError('model_incomplete', detail)
  }
  return { ...stored, items }
}
