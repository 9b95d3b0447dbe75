import type { RuleMaker } from "../../core/recording.js";
import type { Simulation } from "../../core/simulation.js";
import type { Cluster, ClusterNode, ClusterPod } from "../../kube/cluster.js";
import type { CniResult } from "../../kube/cni/result.js";
import { changingRoutes, NodeNetwork } from "../../kube/nodes.js";
import { podAddresses } from "../../kube/own-addresses.js";
import type { KubeRouterText } from "../../kube/policy/kube-router.js";
import { renderKubeRouterSync } from "../../kube/policy/kube-router-sync.js";
import type { ProxyConfig } from "../../kube/proxy/config.js";
import { conntrackCleanup, type TrackedFlow } from "../../kube/proxy/conntrack-cleanup.js";
import { proxyNodeOf } from "../../kube/local-addresses.js";
import type { ServiceObjects } from "../../kube/proxy/service-state.js";
import { renderIptablesSync, serviceChanges } from "../../kube/proxy/sync.js";
import { parseConntrackList } from "../../netfilter/conntrack/parse.js";
import type { LabCommand } from "../../tools/command.js";
import { formatIp } from "../../wire/ip.js";
import {
  type NodeRuleInputs,
  nodeRuleInputs,
  renderNodePolicies,
  rendersPolicies,
} from "../cluster-lab.js";
import { podRules, renderedMaker } from "../provenance.js";
import { runAgent, runTold } from "./run-command.js";

const UDP = 17;
/** Where host-local writes the address that it gave last. */
const LAST_GIVEN = /last_reserved_ip\.\d+$/;

/** What is the same for the agents of all nodes. */
export interface AgentWorld {
  readonly sim: Simulation;
  /** Who wrote the rules of a file; grows with every sync. */
  readonly makers: Map<string, RuleMaker>;
  readonly config: ProxyConfig;
  readonly conntrackCleanup: boolean;
}

/** kube-proxy, the policy engine and the CNI of one node, and what they know of what they did before. */
export class NodeAgents {
  readonly name: string;
  readonly #world: AgentWorld;
  readonly #network: NodeNetwork;
  readonly #attached = new Map<string, { readonly pod: ClusterPod; readonly result: CniResult }>();
  #services: NodeRuleInputs;
  /** What kube-router wrote last, by family. */
  readonly #policies = new Map<4 | 6, KubeRouterText>();
  #syncs = 1;
  #policySyncs = 1;
  #routes: readonly LabCommand[];
  /** What kube-router's last sync salted the names of its chains with. */
  #version = "1";

  /** The node as `clusterLab` has just built it. */
  constructor(world: AgentWorld, cluster: Cluster, node: ClusterNode) {
    this.name = node.name;
    this.#world = world;
    this.#network = new NodeNetwork(node);
    this.#services = nodeRuleInputs(cluster, world.config);
    if (rendersPolicies(cluster))
      for (const family of cluster.networks.families)
        this.#policies.set(family, renderNodePolicies(cluster, node, "1", family));
    this.#routes = changingRoutes(cluster, node);
    // The same calls in the same order as the lab's own: the plugins keep what they have given out.
    for (const pod of cluster.pods) if (runsOn(pod, node)) this.#add(pod);
  }

  /** CNI ADD. The pod's namespace is there. */
  attach(pod: ClusterPod): void {
    for (const command of this.#add(pod)) {
      if (command.argv[1] === "netns") continue;
      const made = command.stdin === undefined ? undefined : podRules(command, pod, this.name);
      if (made !== undefined) this.#world.makers.set(made.file, made.maker);
      this.#run(made?.command ?? command, "CNI", `ADD for pod ${pod.key}`);
    }
  }

  /** CNI DEL. */
  detach(key: string): void {
    const attached = this.#attached.get(key);
    if (attached === undefined) return;
    this.#attached.delete(key);
    for (const command of this.#network.removePod(attached.pod, attached.result))
      this.#run(command, "CNI", `DEL for pod ${key}`);
  }

  /** What the node's IPAM remembers of the address that it gave last, by path. */
  ipamFiles(): ReadonlyMap<string, string> {
    return new Map([...this.#network.host.files].filter(([path]) => LAST_GIVEN.test(path)));
  }

  /** One run of kube-proxy's sync loop in each family; nothing when no Service or endpoint changed since the last. */
  syncProxy(cluster: Cluster): void {
    const before = this.#services;
    const after = nodeRuleInputs(cluster, this.#world.config);
    this.#services = after;
    this.#syncFamily(cluster, before.services, after.services);
    if (before.services6 !== undefined && after.services6 !== undefined)
      this.#syncFamily(cluster, before.services6, after.services6);
  }

  #syncFamily(cluster: Cluster, before: ServiceObjects, after: ServiceObjects): void {
    const node = this.#nodeIn(cluster);
    const { services, udpEndpoints } = serviceChanges(before, after);
    if (node === undefined || services.size === 0) return;
    const { config, makers } = this.#world;
    const rendered = renderIptablesSync(before, after, proxyNodeOf(cluster, node), config);
    const six = after.family === 6 ? "6" : "";
    const stdinName = `${this.name}/kube-proxy.${++this.#syncs}.rules${six}`;
    makers.set(stdinName, renderedMaker("kube-proxy", rendered, cluster));
    const argv = [`ip${six}tables-restore`, "--noflush", "--counters"];
    const why = `sync: ${[...services].join(", ")} changed`;
    this.#run({ argv, stdin: rendered.text, stdinName }, "kube-proxy", why);
    if (udpEndpoints && this.#world.conntrackCleanup) this.#cleanConntrack(after);
  }

  #cleanConntrack(services: ServiceObjects): void {
    const { sim } = this.#world;
    const family = services.family === 6 ? ["-f", "ipv6"] : [];
    const list = { ns: this.name, argv: ["conntrack", "-L", ...family, "-p", "udp"] };
    const { stdout } = runTold(sim, list, {
      by: "kube-proxy",
      why: "which UDP connections are there",
    });
    const flows = parseConntrackList(stdout, `${this.name}/conntrack`).map(
      ({ original, reply }): TrackedFlow => ({
        protocol: original.protocol === UDP ? "udp" : "other",
        destination: formatIp(original.destination),
        destinationPort: original.destinationPort,
        replySource: formatIp(reply.source),
      }),
    );
    for (const argv of conntrackCleanup(services, flows))
      this.#run({ argv }, "kube-proxy", "stale UDP connections: no serving endpoint answers them");
  }

  /** What the network's agents do about blocks that came or went. */
  syncRoutes(cluster: Cluster): void {
    const node = this.#nodeIn(cluster);
    if (node === undefined) return;
    const before = this.#routes;
    const after = changingRoutes(cluster, node);
    this.#routes = after;
    const text = ({ ns, argv }: LabCommand): string => `${ns ?? ""} ${argv.join(" ")}`;
    const has = (list: readonly LabCommand[], one: LabCommand): boolean =>
      list.some((other) => text(other) === text(one));
    for (const old of before.filter((one) => !has(after, one)))
      this.#run(
        { ...old, argv: old.argv.with(2, "del") },
        "calico",
        "a block is not used any more",
      );
    for (const added of after.filter((one) => !has(before, one)))
      this.#run(added, "calico", "a block came into use");
  }

  /** One full sync of the policy engine in each family; nothing when the rules would be the same. */
  syncPolicies(cluster: Cluster): void {
    const node = this.#nodeIn(cluster);
    if (node === undefined) return;
    const { families } = cluster.networks;
    if (this.#policies.size === 0 && !rendersPolicies(cluster)) return;
    const isSame = families.every((family) => {
      const before = this.#policies.get(family);
      return (
        before !== undefined &&
        sameText(before, renderNodePolicies(cluster, node, this.#version, family))
      );
    });
    if (isSame) return;
    this.#version = String(1 + this.#world.sim.queue.now * 1000);
    this.#policySyncs++;
    for (const family of families) this.#syncPoliciesOf(family, cluster, node);
  }

  #syncPoliciesOf(family: 4 | 6, cluster: Cluster, node: ClusterNode): void {
    const before = this.#policies.get(family);
    const after = renderNodePolicies(cluster, node, this.#version, family);
    this.#policies.set(family, after);
    const sync =
      before === undefined
        ? { ipset: after.ipset, iptables: after.iptables, destroyed: [] }
        : renderKubeRouterSync(before, after);
    const six = family === 6 ? "6" : "";
    const name = `${this.name}/kube-router.${this.#policySyncs}`;
    const rules = `${name}.rules${six}`;
    this.#world.makers.set(rules, renderedMaker("kube-router", sync.iptables, cluster));
    const by = "kube-router";
    const run = (command: Omit<LabCommand, "ns">, why: string): void => this.#run(command, by, why);
    if (sync.ipset.text !== "")
      run(
        {
          argv: ["ipset", "restore", "-exist"],
          stdin: sync.ipset.text,
          stdinName: `${name}.ipset${six}`,
        },
        "sync: sets of pods and blocks",
      );
    run(
      {
        argv: [`ip${six}tables-restore`, "--noflush"],
        stdin: sync.iptables.text,
        stdinName: rules,
      },
      "sync: chains of pods and policies",
    );
    for (const set of sync.destroyed)
      run({ argv: ["ipset", "destroy", set] }, "a set that no rule asks any more");
  }

  #add(pod: ClusterPod): readonly LabCommand[] {
    const { commands, result } = this.#network.addPod(pod);
    if (result !== undefined) this.#attached.set(pod.key, { pod, result });
    return commands;
  }

  /** Commands of plugins name the namespace they run in: the node's or the pod's. */
  #run(command: LabCommand | Omit<LabCommand, "ns">, by: string, why: string): void {
    runAgent(this.#world.sim, { ns: this.name, ...command }, { by, why });
  }

  #nodeIn({ nodes }: Cluster): ClusterNode | undefined {
    return nodes.find(({ name }) => name === this.name);
  }
}

/** Whether the pod is on the node's network. */
export function runsOn(pod: ClusterPod, node: Pick<ClusterNode, "name">): boolean {
  return pod.node === node.name && podAddresses(pod).length > 0;
}

function sameText(a: KubeRouterText, b: KubeRouterText): boolean {
  return a.iptables.text === b.iptables.text && a.ipset.text === b.ipset.text;
}
