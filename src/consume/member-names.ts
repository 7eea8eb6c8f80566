/** The members of an event that our record names otherwise. */
export const avroNames: Readonly<Record<string, string>> = {
  receivedAt: 'timestamp',
  clientTime: 'clientTimestamp',
  remoteAddress: 'remoteHost',
  duplicate: 'detectedDuplicate',
  corrupt: 'detectedCorruption',
  viewportWidth: 'viewportPixelWidth',
  viewportHeight: 'viewportPixelHeight',
  screenWidth: 'screenPixelWidth',
  screenHeight: 'screenPixelHeight',
  userAgent: 'userAgentString',
}

/** The same of the members of its `agent`. */
export const agentNames: Readonly<Record<string, string>> = {
  name: 'userAgentName',
  family: 'userAgentFamily',
  vendor: 'userAgentVendor',
  type: 'userAgentType',
  version: 'userAgentVersion',
  deviceCategory: 'userAgentDeviceCategory',
  osFamily: 'userAgentOsFamily',
  osVersion: 'userAgentOsVersion',
  osVendor: 'userAgentOsVendor',
}
