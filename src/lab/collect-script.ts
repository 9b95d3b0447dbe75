import { UserError } from "../base/errors.js";

/** What `hopwise collect` is told. */
export interface CollectOptions {
  /** Nodes whose commands are named in the script; all that kubectl knows where undefined. */
  readonly nodes: readonly string[] | undefined;
}

/** Kinds that say how packets travel. Secrets are none of them; of ConfigMaps only those of the network are read. */
const KINDS: readonly string[] = [
  "nodes",
  "namespaces",
  "pods",
  "services",
  "endpointslices",
  "endpoints",
  "networkpolicies",
  "deployments",
  "replicasets",
  "statefulsets",
  "daemonsets",
  "jobs",
  "cronjobs",
];

/** Kinds that not every cluster has. */
const OTHER_KINDS: readonly string[] = [
  "servicecidrs.networking.k8s.io",
  "ipaddresses.networking.k8s.io",
  "clusternetworkpolicies.policy.networking.k8s.io",
  "adminnetworkpolicies.policy.networking.k8s.io",
  "baselineadminnetworkpolicies.policy.networking.k8s.io",
];

/** `NAMESPACE NAME` of ConfigMaps that tell the cluster's networks, proxy and DNS. */
const CONFIG_MAPS: readonly string[] = [
  "kube-system kubeadm-config",
  "kube-system kube-proxy",
  "kube-system coredns",
  "kube-system coredns-custom",
  "kube-system node-local-dns",
  "kube-system calico-config",
  "kube-system cilium-config",
  "kube-flannel kube-flannel-cfg",
];

/** Files of one network namespace: what prints each, and the program that must be there. All of them only read. */
const NODE_FILES: readonly (readonly [file: string, command: string])[] = [
  ["ipset-save.txt", "ipset save"],
  ["nft.txt", "nft -s list ruleset"],
  ["ipvsadm.txt", "ipvsadm -Sn"],
  ["ip-addr.json", "ip -d -j addr show"],
  ["ip-route.json", "ip -j route show table all"],
  ["ip-rule.json", "ip -j rule show"],
  ["ip6-rule.json", "ip -j -6 rule show"],
  ["ip-neigh.json", "ip -j neigh show nud all"],
  ["bridge-fdb.json", "bridge -j fdb show"],
  ["bridge-link.json", "bridge -d -j link show"],
  ["bridge-mdb.json", "bridge -j mdb show"],
  ["netns-ids.json", "ip -j netns list-id"],
  ["sysctl.txt", "sysctl -a"],
  ["conntrack.txt", "conntrack -L"],
  ["sockets.txt", "ss -H -tuln"],
];

/**
 * A POSIX shell script that gathers a dump of a cluster and its nodes into a folder that hopwise loads as it is. It
 * changes nothing and reads no Secrets. Throws UserError for names that no node can have.
 */
export function collectScript({ nodes }: CollectOptions): string {
  for (const name of nodes ?? []) {
    if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name))
      throw new UserError("NODE_NAME", `"${name}" is not the name of a node`, {
        help: "names are lower case letters, digits, - and . : --nodes worker-1,worker-2",
      });
  }
  return `${[...header, ...nodePart, ...clusterPart(nodes), ...dispatch].join("\n")}\n`;
}

const header: readonly string[] = [
  "#!/bin/sh",
  "# Gathers what hopwise needs to know of a cluster. It only reads: nothing is changed, no Secret is asked for.",
  "# Made by hopwise collect, which never runs it. Read it first; then:",
  "#",
  "#   sh collect.sh cluster DIR      the objects, by kubectl, into DIR/objects; prints what to do on each node",
  "#   sh collect.sh node DIR         this machine's own network, as root, into DIR/HOSTNAME",
  "#   sh collect.sh node -           the same as a tar archive on standard output",
  "#",
  "# A node over ssh, or where there is none over kubectl:",
  "#",
  "#   ssh NODE sudo sh -s node - < collect.sh | tar -xf - -C DIR/nodes",
  "#   kubectl debug node/NODE -i -q --profile=sysadmin --image=busybox -- \\",
  "#     chroot /host sh -s node - < collect.sh | tar -xf - -C DIR/nodes",
  "#",
  "# Then: hopwise check DIR, hopwise trace SRC DST -w DIR.",
  "# Pods are gathered as they are: what somebody wrote into their env is in the dump too.",
  "#",
  "# HOPWISE_NODE names the node (else its host name); HOPWISE_NETNS the network namespaces below it (else all).",
  "set -u",
  "umask 077",
  "",
];

const nodePart: readonly string[] = [
  "# save FILE COMMAND...: keeps what the command prints, or nothing when there is no such command or it fails.",
  "save() {",
  "  file=$1",
  "  shift",
  '  if "$@" > "$file.part" 2> /dev/null; then mv "$file.part" "$file"; else rm -f "$file.part"; fi',
  "}",
  "",
  "# gather DIR [COMMAND...]: everything of one network namespace, seen through the command.",
  "gather() {",
  "  dir=$1",
  "  shift",
  '  mkdir -p "$dir" || exit 1',
  ...["iptables", "ip6tables"].flatMap(ruleFiles),
  ...NODE_FILES.map(([file, command]) => `  save "$dir/${file}" "$@" ${command}`),
  "  # Knobs of the network alone.",
  '  if [ -f "$dir/sysctl.txt" ]; then',
  '    grep "^net[.]" "$dir/sysctl.txt" > "$dir/sysctl.part"',
  '    mv "$dir/sysctl.part" "$dir/sysctl.txt"',
  "  fi",
  "  # An empty ruleset says nothing of use.",
  '  for file in nft ipvsadm; do [ -s "$dir/$file.txt" ] || rm -f "$dir/$file.txt"; done',
  "}",
  "",
  "# CNI configurations without credentials in them.",
  "cni() {",
  "  for conf in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist; do",
  '    [ -f "$conf" ] || continue',
  '    if grep -Eqi "token|password|secret|client-key" "$conf"; then continue; fi',
  '    mkdir -p "$1/cni" && cp "$conf" "$1/cni/"',
  "  done",
  "}",
  "",
  "node() {",
  "  name=${HOPWISE_NODE:-$(uname -n)}",
  '  gather "$1/$name"',
  '  cni "$1/$name"',
  "  for ns in ${HOPWISE_NETNS-$(ip netns list 2> /dev/null | cut -d ' ' -f 1)}; do",
  '    gather "$1/$name/netns/$ns" ip netns exec "$ns"',
  "  done",
  "}",
  "",
  "node_archive() {",
  "  work=$(mktemp -d) || exit 1",
  "  trap 'rm -rf \"$work\"' EXIT",
  '  node "$work" && tar -cf - -C "$work" .',
  "}",
  "",
];

/** Both of the kernel's rulesets where the programs for both are there, else the one that the plain program knows. */
function ruleFiles(tool: string): readonly string[] {
  return [
    `  save "$dir/${tool}-nft-save.txt" "$@" ${tool}-nft-save -c`,
    `  save "$dir/${tool}-legacy-save.txt" "$@" ${tool}-legacy-save -c`,
    `  [ -f "$dir/${tool}-nft-save.txt" ] || [ -f "$dir/${tool}-legacy-save.txt" ] ||`,
    `    save "$dir/${tool}-save.txt" "$@" ${tool}-save -c`,
    `  [ -s "$dir/${tool}-legacy-save.txt" ] || rm -f "$dir/${tool}-legacy-save.txt"`,
  ];
}

function clusterPart(nodes: readonly string[] | undefined): readonly string[] {
  const list =
    nodes === undefined
      ? '$(kubectl get nodes -o name | sed "s,^node/,,")'
      : `"${nodes.join(" ")}"`;
  return [
    "cluster() {",
    '  mkdir -p "$1/objects" "$1/nodes" || exit 1',
    `  for kind in ${KINDS.join(" ")}; do`,
    '    kubectl get "$kind" -A -o yaml > "$1/objects/$kind.yaml" || rm -f "$1/objects/$kind.yaml"',
    "  done",
    `  for kind in ${OTHER_KINDS.join(" ")}; do`,
    '    save "$1/objects/$kind.yaml" kubectl get "$kind" -A -o yaml',
    "  done",
    ...CONFIG_MAPS.map((name) => {
      const [namespace = "", map = ""] = name.split(" ");
      return `  save "$1/objects/configmap-${map}.yaml" kubectl -n ${namespace} get configmap ${map} -o yaml`;
    }),
    `  names=${list}`,
    "  echo 'Now for each node, over ssh or kubectl debug (see the head of this script):'",
    "  for name in $names; do",
    '    echo "  ssh $name sudo HOPWISE_NODE=$name sh -s node - < collect.sh | tar -xf - -C $1/nodes"',
    "  done",
    "}",
    "",
  ];
}

const dispatch: readonly string[] = [
  'case "${1:-}/${2:-}" in',
  '  cluster/?*) cluster "$2" ;;',
  "  node/-) node_archive ;;",
  '  node/?*) node "$2" ;;',
  "  *)",
  "    echo 'usage: sh collect.sh cluster DIR | node DIR | node -' >&2",
  "    exit 2",
  "    ;;",
  "esac",
];
