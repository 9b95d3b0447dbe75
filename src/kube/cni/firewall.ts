import { formatAddress, parseBlock } from "./address.js";
import { type CniCall, type PluginConfig, stringField } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { IptablesChanges, quoteComment } from "./iptables-changes.js";
import { type CniResult, parseResult } from "./result.js";

const FORWARD = "CNI-FORWARD";

/** `firewall` ADD with the iptables backend and `ingressPolicy: open`. Mirrors plugins/meta/firewall/iptables.go. */
export function firewallAdd(host: CniHost, config: PluginConfig, _call: CniCall): CniResult {
  const { admin, result } = firewallConfig(config, "missing prevResult from earlier plugin");
  const changes = new IptablesChanges(host, "filter");
  changes.ensureChain(FORWARD);
  changes.ensureChain(admin);
  changes.ensureRule("FORWARD", jumpRule, "start");
  changes.ensureRule(FORWARD, adminRule(admin), "start");
  for (const rule of addressRules(result)) changes.ensureRule(FORWARD, rule);
  changes.commit("firewall");
  return result;
}

export function firewallDel(host: CniHost, config: PluginConfig, _call: CniCall): void {
  if (config.raw["prevResult"] === undefined) return;
  const rules = addressRules(firewallConfig(config, "").result);
  const changes = new IptablesChanges(host, "filter");
  changes.deleteRules(FORWARD, (rule) => rules.includes(rule));
  changes.commit("firewall");
}

export function firewallCheck(host: CniHost, config: PluginConfig, _call: CniCall): void {
  const { admin, result } = firewallConfig(config, "missing prevResult from earlier plugin");
  const rules = host.chain("filter", FORWARD);
  if (rules === undefined || host.chain("filter", "FORWARD")?.includes(jumpRule) !== true)
    fail(`chain ${FORWARD} not found`);
  for (const rule of [adminRule(admin), ...addressRules(result)]) {
    if (!rules.includes(rule)) fail(`rule ${rule} not found in chain ${FORWARD}`);
  }
}

const jumpRule = `-m comment --comment ${quoteComment("CNI firewall plugin rules")} -j ${FORWARD}`;

function adminRule(admin: string): string {
  return `-m comment --comment ${quoteComment("CNI firewall plugin admin overrides")} -j ${admin}`;
}

function firewallConfig(
  { raw }: PluginConfig,
  missing: string,
): { readonly admin: string; readonly result: CniResult } {
  const backend = stringField(raw, "backend");
  if (backend !== "" && backend !== "iptables")
    fail(`hopwise does not model the firewall backend "${backend}"`);
  const policy = stringField(raw, "ingressPolicy");
  if (policy === "same-bridge" || policy === "isolated")
    fail(`hopwise does not model ingressPolicy "${policy}" yet`);
  if (policy !== "" && policy !== "open") fail(`unknown ingress policy: "${policy}"`);
  if (raw["prevResult"] === undefined) fail(missing);
  return {
    admin: stringField(raw, "iptablesAdminChainName") || "CNI-ADMIN",
    result: parseResult(raw["prevResult"]),
  };
}

function addressRules({ ips }: CniResult): readonly string[] {
  return ips.flatMap(({ address }) => {
    const block = parseBlock(address);
    if (block === undefined || block.family !== 4) return [];
    const own = `${formatAddress(block)}/32`;
    return [
      `-d ${own} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-s ${own} -j ACCEPT`,
    ];
  });
}
