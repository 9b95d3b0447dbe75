import { BlockList, isIPv6 } from "node:net";
import type { Flow } from "./cases.js";

/** What the tracer found. */
export interface Traced {
  readonly output: string;
  readonly masq: boolean;
}

interface Packet {
  readonly flow: Pick<Flow, "sourceIP" | "protocol" | "destPort">;
  destIP: string;
  masq: boolean;
  readonly outputs: string[];
}

/**
 * Follows a packet through restore text as upstream's tests do (`about.tracer` of test/golden/kube-proxy.json): all endpoints
 * that chance could pick are collected. It reads the text by itself and shares nothing with the renderer or the emulator.
 */
export function traceIptables(
  text: string,
  localIPs: readonly string[],
  flow: Omit<Flow, "name" | "output" | "masq">,
): Traced {
  const tracer = new Tracer(text, localIPs);
  const packet: Packet = { flow, destIP: flow.destIP, masq: false, outputs: [] };
  tracer.run("nat", "KUBE-SERVICES", packet);
  const target = packet.outputs[0];
  if (target !== undefined) packet.destIP = target.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  for (const chain of [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
  ]) {
    tracer.run("filter", chain, packet);
  }
  return { output: packet.outputs.join(", "), masq: packet.masq };
}

class Tracer {
  readonly #rules = new Map<string, (readonly string[])[]>();
  readonly #localIPs: readonly string[];

  constructor(text: string, localIPs: readonly string[]) {
    this.#localIPs = localIPs;
    let table = "";
    for (const line of text.split("\n")) {
      if (line.startsWith("*")) table = line.slice(1);
      if (!line.startsWith("-A ")) continue;
      const [, chain = "", ...words] = line.match(/"[^"]*"|\S+/g) ?? [];
      const key = `${table} ${chain}`;
      this.#rules.set(key, [...(this.#rules.get(key) ?? []), words]);
    }
  }

  /** True when the walk ended in the chain. */
  run(table: string, chain: string, packet: Packet): boolean {
    for (const words of this.#rules.get(`${table} ${chain}`) ?? []) {
      if (!this.#matches(words, packet)) continue;
      const target = words[words.indexOf("-j") + 1] ?? "";
      if (!words.includes("-j")) continue;
      if (target === "KUBE-MARK-MASQ") packet.masq = true;
      else if (target === "DNAT")
        packet.outputs.push(words[words.indexOf("--to-destination") + 1] ?? "");
      else if (["ACCEPT", "DROP", "REJECT"].includes(target)) packet.outputs.push(target);
      else if (this.run(table, target, packet) && !words.includes("--probability")) return true;
      if (["DNAT", "ACCEPT", "DROP", "REJECT"].includes(target)) return true;
    }
    return false;
  }

  #matches(words: readonly string[], { flow, destIP }: Packet): boolean {
    return words.every((word, index) => {
      const value = words[index + 1] ?? "";
      const inverted = words[index - 1] === "!";
      switch (word) {
        case "-p":
          return value === flow.protocol;
        case "--dport":
          return Number(value) === flow.destPort;
        case "-s":
          return inside(value, flow.sourceIP) !== inverted;
        case "-d":
          return inside(value, destIP) !== inverted;
        case "--src-type":
          return this.#localIPs.includes(flow.sourceIP);
        case "--dst-type":
          return this.#localIPs.includes(destIP);
        case "--mark":
        case "--ctstate":
        case "-i":
        case "--rcheck":
          return false;
        default:
          return true;
      }
    });
  }
}

function inside(cidr: string, address: string): boolean {
  const [network = "", length] = cidr.split("/");
  const family = isIPv6(network) ? "ipv6" : "ipv4";
  const list = new BlockList();
  list.addSubnet(
    network,
    length === undefined ? (family === "ipv6" ? 128 : 32) : Number(length),
    family,
  );
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
