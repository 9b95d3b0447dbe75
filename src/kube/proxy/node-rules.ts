import type { ProxyConfig } from "./config.js";
import { renderIptables } from "./iptables.js";
import { renderProxyJumps } from "./jumps.js";
import { renderKubelet } from "./kubelet.js";
import type { ProxyNode } from "./node.js";
import { joinTexts, type RenderedText } from "./rendered-text.js";
import type { ServiceState } from "./service-state.js";

/**
 * All that kubelet and kube-proxy in iptables mode put into a fresh node, in the order they do it, as one text for
 * `iptables-restore --noflush` (ip6tables-restore for family 6).
 */
export function renderNodeIptables(
  state: ServiceState,
  node: ProxyNode,
  config: ProxyConfig,
): RenderedText {
  return joinTexts([
    renderKubelet(state.family),
    renderProxyJumps(state.family, true),
    renderIptables(state, node, config),
  ]);
}
