import type { IpFamily } from "./addresses.js";
import { MARTIAN_RULE } from "./iptables.js";
import { always, type RenderedText } from "./rendered-text.js";
import { restoreText, RestoreTable } from "./restore-text.js";

/**
 * The chains and rules of kubelet, as `iptables-restore --noflush` text. On a normal node they come first, before CNI and
 * kube-proxy. Mirrors pkg/kubelet/kubelet_network_linux.go:initNetworkUtil() of 1.28 and later (gate IPTablesOwnershipCleanup).
 */
export function renderKubelet(family: IpFamily): RenderedText {
  const mangle = new RestoreTable("mangle", "kubelet");
  const nat = new RestoreTable("nat", "kubelet");
  const filter = new RestoreTable("filter", "kubelet");
  mangle.chain(
    "KUBE-IPTABLES-HINT",
    always("tells wrappers and CNI plugins which iptables variant the node uses", "kubelet"),
  );
  const canary = always(
    "a chain that vanishes when someone flushes the table; kubelet then writes its own anew",
    "kubelet",
  );
  for (const table of [mangle, nat, filter]) table.chain("KUBE-KUBELET-CANARY", canary);
  if (family === 4) {
    const guard = always(
      "keeps other hosts away from 127.0.0.1, also where route_localnet is set",
      "kubelet",
    );
    filter.chain("KUBE-FIREWALL", guard);
    filter.rule(MARTIAN_RULE, guard);
    filter.rule("-I OUTPUT -j KUBE-FIREWALL", guard);
    filter.rule("-I INPUT -j KUBE-FIREWALL", guard);
  }
  return restoreText([mangle, nat, filter]);
}
