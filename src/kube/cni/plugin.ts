import type { CniCall, PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniResult } from "./result.js";

/** One CNI plugin: what each verb does. A failure is thrown as CniFailure. */
export interface CniPlugin {
  readonly name: string;
  add(host: CniHost, config: PluginConfig, call: CniCall): CniResult;
  del(host: CniHost, config: PluginConfig, call: CniCall): void;
  check(host: CniHost, config: PluginConfig, call: CniCall): void;
}

/** The container's namespace, by the path that the runtime gave. */
export function sandboxOf(
  host: CniHost,
  { env }: CniCall,
): { readonly path: string; readonly ns: string } {
  const path = env["CNI_NETNS"] ?? "";
  const ns = host.sandbox(path);
  if (ns === undefined)
    return fail(
      `failed to open netns "${path}": failed to Statfs "${path}": no such file or directory`,
    );
  return { path, ns };
}
