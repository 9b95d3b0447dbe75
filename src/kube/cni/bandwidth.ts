import { mappingField, type CniCall, type PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { type CniResult, parseResult } from "./result.js";

/**
 * `bandwidth` ADD where no rate is asked for: what the plugin before came to. Rates are not modelled. Mirrors
 * github.com/containernetworking/plugins/plugins/meta/bandwidth/main.go:cmdAdd().
 */
export function bandwidthAdd(_host: CniHost, { raw }: PluginConfig, _call: CniCall): CniResult {
  const asked = [raw, mappingField(mappingField(raw, "runtimeConfig"), "bandwidth")];
  if (asked.some(({ ingressRate, egressRate }) => Boolean(ingressRate) || Boolean(egressRate)))
    fail("hopwise does not model the rates of the bandwidth plugin");
  if (raw["prevResult"] === undefined) fail("must be called as chained plugin");
  return parseResult(raw["prevResult"]);
}
