/** JSON that is taken for a field by Divolte's rules; `fromJson` of mapping.ts makes it. */
export class JsonValue {
  readonly value: unknown

  constructor(value: unknown) {
    this.value = value
  }
}
