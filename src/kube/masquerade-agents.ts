import type { LabCommand } from "../tools/command.js";
import type { Conflist } from "./cni/conflist.js";
import type { LoadResult } from "./load.js";
import { nameOf, namespaceOf } from "./objects.js";

/*
 * Networks whose nodes route each other's pods by plain routes, and whose agent masquerades what leaves the cluster: kindnet,
 * and the kubenet of Kubernetes before 1.24.
 */

export type MasqueradeAgent = "kindnet" | "kubenet";

/** Who masquerades: the network's name in the CNI configuration, or kindnet's DaemonSet. */
export function findMasqueradeAgent(
  objects: Pick<LoadResult["objects"], "DaemonSet" | "Pod">,
  conflist: Conflist | undefined,
): MasqueradeAgent | undefined {
  if (conflist?.name === "kindnet" || conflist?.name === "kubenet") return conflist.name;
  if (conflist !== undefined) return undefined;
  const kindnet = [
    ...objects.DaemonSet.map(({ object }) => ({ object, spec: object.spec?.template.spec })),
    ...objects.Pod.map(({ object }) => ({ object, spec: object.spec })),
  ].some(
    ({ object, spec }) =>
      namespaceOf(object) === "kube-system" &&
      nameOf(object).startsWith("kindnet") &&
      spec?.containers.some(({ name }) => name === "kindnet-cni") === true,
  );
  return kindnet ? "kindnet" : undefined;
}

/** `10-kindnet.conflist` as kindnet writes it. Mirrors images/kindnetd/cmd/kindnetd/cni.go. */
export function kindnetConflist(...podCidrs: readonly string[]): Conflist {
  const ptp = {
    type: "ptp",
    ipMasq: false,
    ipam: {
      type: "host-local",
      dataDir: "/run/cni-ipam-state",
      routes: podCidrs.map((text) => ({ dst: text.includes(":") ? "::/0" : "0.0.0.0/0" })),
      ranges: podCidrs.map((subnet) => [{ subnet }]),
    },
    mtu: 1500,
  };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  const plugins = [ptp, portmap].map((raw) => ({ type: raw.type, raw }));
  return { file: "(assumed 10-kindnet.conflist)", name: "kindnet", cniVersion: "0.3.1", plugins };
}

/** The agent's rules on one node, appended to what is there: for every family that pods have. kubenet knows IPv4 alone. */
export function masqueradeCommands(
  agent: MasqueradeAgent,
  node: string,
  pods: readonly string[],
): readonly LabCommand[] {
  return pods.flatMap((network): readonly LabCommand[] => {
    const six = network.includes(":") ? "6" : "";
    if (six === "6" && agent === "kubenet") return [];
    const rules = agent === "kindnet" ? kindnetRules(network) : kubenetRules;
    const stdin = ["*nat", ...rules, "COMMIT", ""].join("\n");
    const argv = [`ip${six}tables-restore`, "--noflush"];
    return [{ ns: node, argv, stdin, stdinName: `${node}/${agent}.rules${six}` }];
  });
}

/** Mirrors images/kindnetd/cmd/kindnetd/masq.go:SyncRules(). */
function kindnetRules(pods: string): readonly string[] {
  const comment = (text: string): string => `-m comment --comment "kind-masq-agent: ${text}"`;
  const entry = comment(
    "ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom KIND-MASQ-AGENT chain",
  );
  const inside = comment("local traffic is not subject to MASQUERADE");
  const outside = comment("outbound traffic is subject to MASQUERADE (must be last in chain)");
  return [
    ":KIND-MASQ-AGENT - [0:0]",
    `-A POSTROUTING -m addrtype ! --dst-type LOCAL ${entry} -j KIND-MASQ-AGENT`,
    `-A KIND-MASQ-AGENT -d ${pods} ${inside} -j RETURN`,
    `-A KIND-MASQ-AGENT ${outside} -j MASQUERADE`,
  ];
}

/** Mirrors pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go:ensureMasqRule(), with the default `--non-masquerade-cidr`. */
const kubenetRules: readonly string[] = [
  '-A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment "kubenet: SNAT for outbound traffic from cluster"' +
    " -m addrtype ! --dst-type LOCAL -j MASQUERADE",
];
