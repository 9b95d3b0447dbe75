import { BlockList, isIPv6 } from "node:net";
import type { Flow } from "./cases.js";
import type { Traced } from "./trace-iptables.js";

interface Packet {
  readonly flow: Omit<Flow, "name" | "output" | "masq">;
  destIP: string;
  masq: boolean;
  readonly outputs: string[];
}

/**
 * Follows a packet through an `nft -f` script as upstream's tests do (`about.tracer` of test/golden/kube-proxy.json): all endpoints
 * that chance could pick are collected. It reads the text by itself and shares nothing with the renderer.
 */
export function traceNftables(
  script: string,
  nodeIPs: readonly string[],
  flow: Omit<Flow, "name" | "output" | "masq">,
): Traced {
  const tracer = new Tracer(script, nodeIPs);
  const packet: Packet = { flow, destIP: flow.destIP, masq: false, outputs: [] };
  if (!tracer.run("filter-prerouting-pre-dnat", packet)) {
    tracer.run("nat-prerouting", packet);
    const target = packet.outputs[0];
    if (target !== undefined) {
      packet.destIP = hostOf(target);
      const hairpin = `${flow.sourceIP} . ${packet.destIP} . ${flow.protocol} . ${target.split(":").at(-1)}`;
      if (tracer.has("hairpin-connections", hairpin)) packet.masq = true;
    }
    if (!tracer.run("filter-forward", packet)) tracer.run("filter-input", packet);
  }
  return { output: packet.outputs.join(", "), masq: packet.masq };
}

function hostOf(target: string): string {
  return target.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

class Tracer {
  readonly #rules = new Map<string, string[]>();
  readonly #elements = new Map<string, Map<string, string>>();
  readonly #nodeIPs: readonly string[];

  constructor(script: string, nodeIPs: readonly string[]) {
    this.#nodeIPs = nodeIPs;
    for (const line of script.split("\n")) {
      const rule = /^add rule \S+ kube-proxy (\S+) (.*)$/.exec(line);
      if (rule)
        this.#rules.set(rule[1] ?? "", [...(this.#rules.get(rule[1] ?? "") ?? []), rule[2] ?? ""]);
      const element = /^add element \S+ kube-proxy (\S+) \{ (.*) \}$/.exec(line);
      if (!element) continue;
      const [key = "", value = ""] = (element[2] ?? "")
        .replace(/ comment "[^"]*"/, "")
        .split(" : ");
      const set = this.#elements.get(element[1] ?? "") ?? new Map<string, string>();
      this.#elements.set(element[1] ?? "", set.set(key, value));
    }
  }

  has(set: string, key: string): boolean {
    return this.#elements.get(set)?.has(key) ?? false;
  }

  /** True when a verdict was reached. */
  run(chain: string, packet: Packet): boolean {
    for (const rule of this.#rules.get(chain) ?? []) {
      const outcome = this.#rule(rule.replace(/ comment "[^"]*"$/, ""), packet);
      if (outcome !== "next") return outcome === "done";
    }
    return false;
  }

  /** Reads one rule from left to right. */
  #rule(text: string, packet: Packet): "next" | "return" | "done" {
    const rest = this.#matched(text, packet);
    if (rest === undefined) return "next";
    if (/^(drop|reject)$/.test(rest)) {
      packet.outputs.push(rest.toUpperCase());
      return "done";
    }
    if (rest.startsWith("mark set mark or ") || rest === "jump mark-for-masquerade")
      packet.masq = true;
    const jump = /^(jump|goto) (\S+)$/.exec(rest);
    if (jump && rest !== "jump mark-for-masquerade") {
      if (this.run(jump[2] ?? "", packet)) return "done";
      return jump[1] === "goto" ? "return" : "next";
    }
    const dnat = /^meta l4proto (\S+) dnat to (\S+)$/.exec(rest);
    if (dnat && dnat[1] === packet.flow.protocol) {
      packet.outputs.push(dnat[2] ?? "");
      return "done";
    }
    return this.#choice(rest, packet) ?? this.#map(rest, packet) ?? "next";
  }

  #choice(rest: string, packet: Packet): "done" | undefined {
    const choice = /numgen random mod \d+ (?:v?map) \{ (.*) \}$/.exec(rest);
    for (const entry of choice?.[1]?.split(" , ") ?? []) {
      const [, value = ""] = entry.split(/ : (.*)/);
      if (value.startsWith("goto ")) this.run(value.slice(5), packet);
      else
        packet.outputs.push(
          value.replace(
            /^(.*) \. /,
            (_all, host: string) => `${isIPv6(host) ? `[${host}]` : host}:`,
          ),
        );
    }
    return choice ? "done" : undefined;
  }

  /** A look-up in a named map, by destination and port or by port alone. */
  #map(rest: string, packet: Packet): "return" | "done" | undefined {
    const map = /^(ip6? daddr \. )?meta l4proto \. th dport vmap @(\S+)$/.exec(rest);
    if (!map) return undefined;
    const port = `${packet.flow.protocol} . ${packet.flow.destPort}`;
    const verdict = this.#elements
      .get(map[2] ?? "")
      ?.get(map[1] === undefined ? port : `${packet.destIP} . ${port}`);
    if (verdict === undefined) return undefined;
    if (verdict === "drop") packet.outputs.push("DROP");
    return verdict === "drop" || this.run(verdict.slice("goto ".length), packet)
      ? "done"
      : "return";
  }

  /** What is left of a rule after its matches, or undefined when one does not match. */
  #matched(text: string, { flow, destIP }: Packet): string | undefined {
    let rest = text.replace(/^ct state new /, "");
    for (;;) {
      const match =
        /^ip6? (saddr|daddr) (!= )?(\{ [^}]* \}|@\S+|[0-9a-f][0-9a-f:.]*(?:\/\d+)?) /.exec(rest) ??
        /^fib (saddr|daddr) (type) (local) /.exec(rest);
      if (!match) break;
      const address = match[1] === "saddr" ? flow.sourceIP : destIP;
      const operand = match[3] ?? "";
      if (
        match[2] === "type"
          ? !this.#nodeIPs.includes(address)
          : this.#inside(operand, address) === (match[2] !== undefined)
      )
        return undefined;
      rest = rest.slice(match[0].length);
    }
    return /^(mark and|ct status)/.test(rest) ? undefined : rest;
  }

  #inside(operand: string, address: string): boolean {
    if (operand.startsWith("@")) return this.has(operand.slice(1), address);
    const list = new BlockList();
    for (const cidr of operand.replace(/[{} ]/g, "").split(",")) {
      const [network = "", length] = cidr.split("/");
      const family = isIPv6(network) ? "ipv6" : "ipv4";
      list.addSubnet(
        network,
        length === undefined ? (family === "ipv6" ? 128 : 32) : Number(length),
        family,
      );
    }
    return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }
}
