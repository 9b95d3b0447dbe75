import { sha512 } from "../../base/sha512.js";
import { bits, firstOf, formatAddress, formatBlock, parseBlock } from "./address.js";
import type { CniCall, PluginConfig } from "./config.js";
import type { CniHost } from "./host.js";
import { IptablesChanges, quoteComment } from "./iptables-changes.js";
import type { CniResult } from "./result.js";

/** The name of a chain that belongs to one container of one network. Mirrors plugins/pkg/utils/utils.go:FormatChainName(). */
export function chainName(prefix: string, config: PluginConfig, call: CniCall): string {
  const digits = sha512(config.name + (call.env["CNI_CONTAINERID"] ?? ""));
  return `${prefix}${digits.slice(0, 28 - prefix.length)}`;
}

export function ruleComment(config: PluginConfig, call: CniCall): string {
  return `name: "${config.name}" id: "${call.env["CNI_CONTAINERID"] ?? ""}"`;
}

/** Masquerades what leaves the pods' subnet. Mirrors plugins/pkg/ip/ipmasq_linux.go:SetupIPMasq(). */
export function setupMasquerade(
  host: CniHost,
  config: PluginConfig,
  call: CniCall,
  { ips }: CniResult,
): void {
  const chain = chainName("CNI-", config, call);
  const comment = `-m comment --comment ${quoteComment(ruleComment(config, call))}`;
  for (const { address } of ips) {
    const block = parseBlock(address);
    if (block === undefined) continue;
    const { family } = block;
    const changes = new IptablesChanges(host, "nat", family);
    changes.ensureChain(chain);
    const subnet = formatBlock({ ...firstOf(block), length: block.length });
    changes.ensureRule(chain, `-d ${subnet} ${comment} -j ACCEPT`);
    changes.ensureRule(
      chain,
      `! -d ${family === 4 ? "224.0.0.0/4" : "ff00::/8"} ${comment} -j MASQUERADE`,
    );
    changes.ensureRule(
      "POSTROUTING",
      `-s ${formatAddress(block)}/${bits(block)} ${comment} -j ${chain}`,
    );
    changes.commit("bridge masquerade");
  }
}

export function teardownMasquerade(
  host: CniHost,
  config: PluginConfig,
  call: CniCall,
  addresses: readonly string[],
): void {
  const chain = chainName("CNI-", config, call);
  if (addresses.length === 0) return;
  for (const family of [4, 6] as const) {
    if (!addresses.some((address) => address.includes(":") === (family === 6))) continue;
    const changes = new IptablesChanges(host, "nat", family);
    changes.deleteRules("POSTROUTING", (rule) => rule.endsWith(`-j ${chain}`));
    changes.deleteChain(chain);
    changes.commit("bridge masquerade");
  }
}
