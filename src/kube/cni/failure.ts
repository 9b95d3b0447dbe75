/** The error codes of the CNI protocol. */
export const CNI_CODE: {
  readonly incompatible: number;
  readonly environment: number;
  readonly decode: number;
  readonly configuration: number;
  readonly internal: number;
} = { incompatible: 1, environment: 4, decode: 6, configuration: 7, internal: 999 };

/** A plugin says no. Caught where plugins are called; never leaves the CNI. */
export class CniFailure extends Error {
  override readonly name = "CniFailure";
  readonly code: number;
  readonly detail: string | undefined;

  constructor(message: string, code: number = CNI_CODE.internal, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}

/** Ends the plugin with the code that ordinary failures have. */
export function fail(message: string): never {
  throw new CniFailure(message);
}
