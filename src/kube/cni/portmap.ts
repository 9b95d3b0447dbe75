import { isMapping } from "../load/check.js";
import { type Block, firstOf, formatAddress, formatBlock, parseBlock } from "./address.js";
import {
  boolField,
  type CniCall,
  listField,
  mappingField,
  numberField,
  type PluginConfig,
  stringField,
  stringsField,
} from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { IptablesChanges, quoteComment } from "./iptables-changes.js";
import { chainName, ruleComment } from "./masquerade.js";
import { type CniResult, parseResult } from "./result.js";

interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
  readonly hostIp: string;
}

interface PortmapConfig {
  readonly snat: boolean;
  /** Where traffic that must be masqueraded is marked. */
  readonly markChain: string;
  /** Whether `markChain` is somebody else's. */
  readonly external: boolean;
  readonly mark: string;
  /** Words of iptables that narrow what comes to a container's chain, by family. */
  readonly conditions: Readonly<Record<4 | 6, readonly string[]>>;
  readonly mappings: readonly PortMapping[];
}

const DNAT = "CNI-HOSTPORT-DNAT";
const MASQ = "CNI-HOSTPORT-MASQ";
const SETMARK = "CNI-HOSTPORT-SETMARK";

/** The multiport match takes so many ports. */
const PORTS_PER_RULE = 15;

const FAMILIES = [4, 6] as const;

/**
 * `portmap` ADD: host ports by NAT in each family of the container, with the iptables backend. Mirrors
 * github.com/containernetworking/plugins/plugins/meta/portmap: main.go:cmdAdd(), portmap.go:forwardPorts().
 */
export function portmapAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  if (config.raw["prevResult"] === undefined) fail("must be called as chained plugin");
  const result = parseResult(config.raw["prevResult"]);
  const settings = portmapConfig(config);
  if (settings.mappings.length === 0) return result;
  for (const family of FAMILIES) {
    const container = containerAddress(result, family);
    if (container === undefined) continue;
    const changes = new IptablesChanges(host, "nat", family);
    try {
      if (settings.snat) setupMarks(changes, settings);
      if (settings.snat && family === 4) routeLocalnet(host, result);
      changes.ensureChain(DNAT);
      for (const hook of ["PREROUTING", "OUTPUT"])
        changes.ensureRule(hook, `-m addrtype --dst-type LOCAL -j ${DNAT}`);
      setupForwards(host, changes, config, call, settings, container);
    } finally {
      changes.commit("portmap");
    }
  }
  return result;
}

export function portmapDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  portmapConfig(config);
  const chain = chainName("CNI-DN-", config, call);
  for (const family of FAMILIES) {
    const changes = new IptablesChanges(host, "nat", family);
    changes.deleteRules(DNAT, (rule) => rule.endsWith(`-j ${chain}`));
    changes.deleteChain(chain);
    changes.commit("portmap");
  }
}

/**
 * CHECK. Mirrors release 1.1.1, which looks for the rules of one family in both, and so never passes where ip6tables
 * works.
 */
export function portmapCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  if (config.raw["prevResult"] === undefined) fail("Required prevResult missing");
  const settings = portmapConfig(config);
  const result = parseResult(config.raw["prevResult"]);
  const container = containerAddress(result, 4) ?? containerAddress(result, 6);
  if (settings.mappings.length === 0 || container === undefined) return;
  const chain = chainName("CNI-DN-", config, call);
  const wanted = settings.mappings.flatMap((mapping) => forwardRules(settings, mapping, container));
  for (const family of FAMILIES) {
    const what = `could not check ipv${family} dnat:`;
    const rules = host.chain("nat", chain, family);
    if (rules === undefined) fail(`${what} chain ${chain} not found in iptables table nat`);
    if (wanted.every((rule) => rules.includes(savedRule(rule)))) continue;
    const shown = wanted.map((rule) => `[${rule.words.join(" ")}]`).join(" ");
    fail(`${what} rule [${shown}] in chain ${chain} not found in table nat`);
  }
}

/** Mirrors main.go:parseConfig(). */
function portmapConfig({ raw }: PluginConfig): PortmapConfig {
  const backend = stringField(raw, "backend");
  if (backend !== "" && backend !== "iptables")
    fail(`hopwise does not model portmap's backend "${backend}" yet`);
  const external = stringField(raw, "externalSetMarkChain");
  if (external !== "" && raw["markMasqBit"] !== undefined)
    fail("Cannot specify externalSetMarkChain and markMasqBit");
  const bit = numberField(raw, "markMasqBit", 13);
  if (bit < 0 || bit > 31) fail("MasqMarkBit must be between 0 and 31");
  const mappings = listField(mappingField(raw, "runtimeConfig"), "portMappings").map((item) => {
    if (!isMapping(item))
      return fail("failed to parse config: json: cannot unmarshal a port mapping");
    return {
      hostPort: numberField(item, "hostPort"),
      containerPort: numberField(item, "containerPort"),
      protocol: stringField(item, "protocol").toLowerCase(),
      hostIp: stringField(item, "hostIP"),
    };
  });
  for (const { hostPort, containerPort } of mappings) {
    if (containerPort <= 0) fail(`Invalid container port number: ${containerPort}`);
    if (hostPort <= 0) fail(`Invalid host port number: ${hostPort}`);
  }
  const mark = `0x${(2 ** bit).toString(16)}/0x${(2 ** bit).toString(16)}`;
  const conditions = {
    4: stringsField(raw, "conditionsV4"),
    6: stringsField(raw, "conditionsV6"),
  };
  const snat = boolField(raw, "snat", true);
  return {
    snat,
    markChain: external || SETMARK,
    external: external !== "",
    mark,
    conditions,
    mappings,
  };
}

/** The first address of a family of an interface that is in the container. */
function containerAddress({ interfaces, ips }: CniResult, family: 4 | 6): Block | undefined {
  for (const ip of ips) {
    if (ip.interface !== undefined && (interfaces[ip.interface]?.sandbox ?? "") === "") continue;
    const block = parseBlock(ip.address);
    if (block?.family === family) return block;
  }
  return undefined;
}

function setupMarks(changes: IptablesChanges, settings: PortmapConfig): void {
  if (settings.external) return;
  changes.ensureChain(SETMARK);
  changes.ensureRule(
    SETMARK,
    `-m comment --comment ${quoteComment("CNI portfwd masquerade mark")} -j MARK --set-xmark ${settings.mark}`,
  );
  changes.ensureChain(MASQ);
  changes.ensureRule(MASQ, `-m mark --mark ${settings.mark} -j MASQUERADE`);
  changes.ensureRule(
    "POSTROUTING",
    `-m comment --comment ${quoteComment("CNI portfwd requiring masquerade")} -j ${MASQ}`,
    "start",
  );
}

/** 127.0.0.1 can be behind a device of the network: IPv6 has no such knob, and no rules for ::1. */
function routeLocalnet(host: CniHost, { interfaces }: CniResult): void {
  const gateway = interfaces.find(({ sandbox }) => sandbox === undefined);
  if (gateway !== undefined)
    host.run(host.ns, "sysctl", "-w", `net.ipv4.conf.${gateway.name}.route_localnet=1`);
}

/** A rule of the container's chain, in the words of the plugin's own iptables call. */
interface ForwardRule {
  readonly words: readonly string[];
}

function forwardRules(
  settings: PortmapConfig,
  mapping: PortMapping,
  container: Block,
): readonly ForwardRule[] {
  const { hostPort, containerPort, protocol, hostIp } = mapping;
  const { family } = container;
  // Seen with 1.1.1: a port of `::` gets no rules in either family.
  if (hostIp === "::" || (hostIp !== "" && hostIp.includes(":") !== (family === 6))) return [];
  const to = hostIp === "" || hostIp === "0.0.0.0" ? [] : ["-d", hostIp];
  const base = ["-p", protocol, "--dport", String(hostPort), ...to];
  const sources = [formatBlock(container), ...(family === 4 ? ["127.0.0.1"] : [])];
  const marks = settings.snat
    ? sources.map((source) => ({
        words: [...base, "-s", source, "-j", settings.markChain],
      }))
    : [];
  const address = formatAddress(container);
  const target = `${family === 4 ? address : `[${address}]`}:${containerPort}`;
  return [...marks, { words: [...base, "-j", "DNAT", "--to-destination", target] }];
}

/** The rule as iptables-save writes it. */
function savedRule({ words }: ForwardRule): string {
  const after = (flag: string): string | undefined => {
    const at = words.indexOf(flag);
    return at < 0 ? undefined : words[at + 1];
  };
  const prefix = (text: string | undefined): string => {
    const length = text?.includes(":") === true ? 128 : 32;
    const block = parseBlock(text?.includes("/") === false ? `${text}/${length}` : (text ?? ""));
    return block === undefined ? "" : formatBlock({ ...firstOf(block), length: block.length });
  };
  const protocol = after("-p") ?? "";
  const source = after("-s");
  const destination = after("-d");
  return [
    ...(source === undefined ? [] : [`-s ${prefix(source)}`]),
    ...(destination === undefined ? [] : [`-d ${prefix(destination)}`]),
    `-p ${protocol} -m ${protocol} --dport ${after("--dport") ?? ""}`,
    words.slice(words.indexOf("-j")).join(" "),
  ].join(" ");
}

/** The container's chain and the rules that lead into it. Mirrors portmap.go:fillDnatRules() and chain.go:setup(). */
function setupForwards(
  host: CniHost,
  changes: IptablesChanges,
  config: PluginConfig,
  call: CniCall,
  settings: PortmapConfig,
  container: Block,
): void {
  const chain = chainName("CNI-DN-", config, call);
  changes.ensureChain(chain);
  const { mappings } = settings;
  for (const rule of mappings.flatMap((mapping) => forwardRules(settings, mapping, container))) {
    refuseAsIptables(host, chain, rule, container.family);
    changes.ensureRule(chain, savedRule(rule));
  }
  const comment = `-m comment --comment ${quoteComment(`dnat ${ruleComment(config, call)}`)}`;
  const conditions = settings.conditions[container.family].map((word) => ` ${word}`).join("");
  // Every port leads to the chain, also one that has no rules there.
  for (const protocol of [...new Set(mappings.map((mapping) => mapping.protocol))].toSorted()) {
    const ports = mappings
      .filter((mapping) => mapping.protocol === protocol)
      .map(({ hostPort }) => hostPort);
    for (let start = 0; start < ports.length; start += PORTS_PER_RULE) {
      const some = ports.slice(start, start + PORTS_PER_RULE).join(",");
      changes.ensureRule(
        DNAT,
        `-p ${protocol} ${comment} -m multiport --dports ${some}${conditions} -j ${chain}`,
      );
    }
  }
}

/** What iptables would say to the plugin's rule, in the plugin's frame. */
function refuseAsIptables(
  host: CniHost,
  chain: string,
  { words }: ForwardRule,
  family: 4 | 6,
): void {
  const tool = family === 4 ? "iptables" : "ip6tables";
  const port = Number(words[words.indexOf("--dport") + 1]);
  const target = words[words.indexOf("-j") + 1] ?? "";
  const missing = target !== "DNAT" && host.chain("nat", target, family) === undefined;
  if (port <= 65_535 && !missing) return;
  const said =
    port > 65_535
      ? `${tool} v1.8.9 (legacy): invalid port/service \`${port}' specified\nTry \`${tool} -h' or '${tool} --help' for more information.\n`
      : `${tool} v1.8.9 (legacy): Couldn't load target \`${target}':No such file or directory\n\nTry \`${tool} -h' or '${tool} --help' for more information.\n`;
  fail(
    `unable to setup DNAT: running [/usr/sbin/${tool} -t nat -C ${chain} ${words.join(" ")} --wait]: exit status 2: ${said}`,
  );
}
