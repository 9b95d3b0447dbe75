import { newSkb, type Simulation } from "../../../src/core/simulation.js";
import type { NetworkNamespace } from "../../../src/core/namespace.js";
import { renderKubeRouter } from "../../../src/kube/policy/kube-router.js";
import { formatAddress } from "../../../src/kube/policy/cidr.js";
import {
  addressOf,
  type Flow,
  type PolicyObjects,
  type PolicyWorld,
} from "../../../src/kube/policy/world.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import type { Frame } from "../../../src/wire/frame.js";
import { packet, passes, tcp, udp } from "../../netfilter/rig.js";

const IPPROTO_SCTP = 132;
const hooks = ["PREROUTING", "FORWARD", "POSTROUTING"] as const;

/** A node whose rules are those that the policies of a world render to: what it says of the first packet of a connection. */
export class PacketJudge {
  readonly #sim: Simulation = createLinux({ seed: 1 });
  readonly #node: NetworkNamespace;
  #ports = 1024;

  constructor(world: PolicyWorld) {
    this.#node = this.#sim.createNamespace("node");
    const { iptables, ipset } = renderKubeRouter(world, {
      // Every pod is local: each chain that can refuse is on the packet's way.
      node: { name: "node", addresses: ["192.168.0.1"] },
      clusterCidrs: ["10.96.0.0/12"],
      version: "1",
    });
    this.#run(["ipset", "restore"], ipset.text);
    this.#run(["iptables-restore", "--noflush"], iptables.text);
    // Associations are not tracked: their first packet then meets the same rules as one that is new.
    this.#run(["iptables", "-t", "raw", "-A", "PREROUTING", "-p", "sctp", "-j", "NOTRACK"]);
  }

  #run(argv: readonly string[], stdin?: string): void {
    const { code, stderr } = runTool(this.#sim, {
      ns: "node",
      argv,
      ...(stdin === undefined ? {} : { stdin }),
    });
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  }

  /** Pushes the flow's first packet through the node's hooks. */
  judge(flow: Flow): "allow" | "deny" {
    const skb = newSkb(this.#node, this.#frameOf(flow), "a recorded case");
    // A source port of its own makes every flow a new connection.
    this.#ports = this.#ports === 60_000 ? 1024 : this.#ports + 1;
    const passed = hooks.every((hook) =>
      passes(skb, { hook, family: "ipv4", ns: this.#node, in: undefined, out: undefined }),
    );
    return passed ? "allow" : "deny";
  }

  #frameOf({ source, destination, protocol, port = 0 }: Flow): Frame {
    const [from, to] = [source, destination].map((end) => {
      const address = addressOf(end, 4);
      if (address === undefined) throw new Error("no IPv4 address");
      return formatAddress(address);
    });
    const sender = `${from}:${this.#ports}`;
    switch (protocol) {
      case "TCP":
        return tcp(sender, `${to}:${port}`, "S");
      case "UDP":
        return udp(sender, `${to}:${port}`);
      default:
        return packet(from ?? "", to ?? "", IPPROTO_SCTP, undefined, sctpInit(this.#ports, port));
    }
  }
}

/** Ports, tag and checksum of an SCTP packet with an INIT chunk, as far as rules look. */
function sctpInit(source: number, destination: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, source);
  view.setUint16(2, destination);
  view.setUint8(12, 1);
  view.setUint16(14, 20);
  return bytes;
}

/** The same pods, all on the node of the judge: each chain that can refuse is then on the packet's way. */
export function onOneNode(objects: PolicyObjects): PolicyObjects {
  return {
    ...objects,
    pods: objects.pods.map(({ object, origin }) => ({
      object: { ...object, status: { ...object.status, hostIP: "192.168.0.1" } },
      origin,
    })),
  };
}
