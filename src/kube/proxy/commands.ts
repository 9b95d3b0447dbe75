import { UserError } from "../../base/errors.js";
import type { LabCommand } from "../../tools/command.js";
import type { ProxyConfig } from "./config.js";
import { localhostNodePorts } from "./iptables.js";
import { renderKubelet } from "./kubelet.js";
import { renderNftables } from "./nftables.js";
import { renderNodeIptables } from "./node-rules.js";
import type { ProxyNode } from "./node.js";
import type { LineOrigin, RenderedText } from "./rendered-text.js";
import type { ServiceState } from "./service-state.js";

/** One command that kubelet or kube-proxy comes down to, and why each line of its standard input is there. */
export interface ProxyCommand {
  readonly command: LabCommand;
  readonly origins: readonly LineOrigin[];
}

/**
 * What kubelet and kube-proxy do to the namespace of a fresh node, for IPv4. The rules' file is called `<node>.rules` (the
 * nft script `<node>.nft`), and `origins` says of its lines where they come from.
 */
export function proxyCommands(
  ns: string,
  state: ServiceState,
  node: ProxyNode,
  config: ProxyConfig,
): ProxyCommand[] {
  const restore = (rendered: RenderedText): ProxyCommand =>
    fed(ns, ["iptables-restore", "--noflush"], `${node.name}.rules`, rendered);
  switch (config.mode) {
    case "iptables":
      return [...routeLocalnet(ns, node, config), restore(renderNodeIptables(state, node, config))];
    case "nftables":
      return [
        restore(renderKubelet(4)),
        fed(ns, ["nft", "-f", "-"], `${node.name}.nft`, renderNftables(state, node, config)),
      ];
    case "ipvs":
    case "userspace":
      throw new UserError("KUBE_PROXY_MODE", `kube-proxy mode ${config.mode} is not modelled`, {
        help: "iptables and nftables are",
      });
  }
}

/** Node ports on 127.0.0.1 need it; KUBE-FIREWALL then guards that network. */
function routeLocalnet(ns: string, node: ProxyNode, config: ProxyConfig): ProxyCommand[] {
  if (!localhostNodePorts(node, config)) return [];
  return [
    { command: { ns, argv: ["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"] }, origins: [] },
  ];
}

function fed(
  ns: string,
  argv: readonly string[],
  stdinName: string,
  { text, origins }: RenderedText,
): ProxyCommand {
  return { command: { ns, argv, stdin: text, stdinName }, origins };
}
