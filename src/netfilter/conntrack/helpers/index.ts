import type { Helper } from "../extensions.js";
import { ftp } from "./ftp.js";
import { notModelled } from "./not-modelled.js";
import { tftp } from "./tftp.js";

/** The helpers of the kernel. Adding one is a file and a line here. */
const HELPERS: ReadonlyMap<string, Helper> = new Map(
  [ftp, tftp, ...notModelled].map((helper) => [helper.name, helper]),
);

/** The helper that reads `protocol` under that name. Mirrors __nf_conntrack_helper_find(). */
export function findHelper(name: string, protocol: number): Helper | undefined {
  const helper = HELPERS.get(name);
  return helper?.protocols.includes(protocol) === true ? helper : undefined;
}
