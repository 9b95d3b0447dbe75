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
  readonly conditions: readonly string[];
  readonly mappings: readonly PortMapping[];
}

const DNAT = "CNI-HOSTPORT-DNAT";
const MASQ = "CNI-HOSTPORT-MASQ";
const SETMARK = "CNI-HOSTPORT-SETMARK";

/** The multiport match takes so many ports. */
const PORTS_PER_RULE = 15;

/**
 * `portmap` ADD: host ports by NAT, IPv4 with the iptables backend. Mirrors
 * github.com/containernetworking/plugins/plugins/meta/portmap: main.go:cmdAdd(), portmap.go:forwardPorts().
 */
export function portmapAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  if (config.raw["prevResult"] === undefined) fail("must be called as chained plugin");
  const result = parseResult(config.raw["prevResult"]);
  const settings = portmapConfig(config);
  const container = containerAddress(result);
  if (settings.mappings.length === 0 || container === undefined) return result;
  const changes = new IptablesChanges(host, "nat");
  try {
    if (settings.snat) setupMarks(host, changes, settings, result);
    changes.ensureChain(DNAT);
    for (const hook of ["PREROUTING", "OUTPUT"])
      changes.ensureRule(hook, `-m addrtype --dst-type LOCAL -j ${DNAT}`);
    setupForwards(host, changes, config, call, settings, container);
  } finally {
    changes.commit("portmap");
  }
  return result;
}

export function portmapDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  portmapConfig(config);
  const chain = chainName("CNI-DN-", config, call);
  const changes = new IptablesChanges(host, "nat");
  changes.deleteRules(DNAT, (rule) => rule.endsWith(`-j ${chain}`));
  changes.deleteChain(chain);
  changes.commit("portmap");
}

/**
 * CHECK. Mirrors release 1.1.1, which looks for IPv6 rules of a pod that has no IPv6 address, and so never passes where
 * ip6tables works.
 */
export function portmapCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  if (config.raw["prevResult"] === undefined) fail("Required prevResult missing");
  const settings = portmapConfig(config);
  const container = containerAddress(parseResult(config.raw["prevResult"]));
  if (settings.mappings.length === 0) return;
  const chain = chainName("CNI-DN-", config, call);
  if (container !== undefined) {
    const rules = host.chain("nat", chain);
    if (rules === undefined)
      fail(`could not check ipv4 dnat: chain ${chain} not found in iptables table nat`);
    const wanted = settings.mappings.flatMap((mapping) =>
      forwardRules(settings, mapping, container),
    );
    if (wanted.some((rule) => !rules.includes(savedRule(rule)))) {
      const shown = wanted.map((rule) => `[${rule.words.join(" ")}]`).join(" ");
      fail(`could not check ipv4 dnat: rule [${shown}] in chain ${chain} not found in table nat`);
    }
  }
  fail(`could not check ipv6 dnat: chain ${chain} not found in iptables table nat`);
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
  const conditions = stringsField(raw, "conditionsV4");
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

/** The first IPv4 address of an interface that is in the container. */
function containerAddress({ interfaces, ips }: CniResult): Block | undefined {
  for (const ip of ips) {
    if (ip.interface !== undefined && (interfaces[ip.interface]?.sandbox ?? "") === "") continue;
    const block = parseBlock(ip.address);
    if (block?.family === 4) return block;
  }
  return undefined;
}

function setupMarks(
  host: CniHost,
  changes: IptablesChanges,
  settings: PortmapConfig,
  { interfaces }: CniResult,
): void {
  if (!settings.external) {
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
  if (hostIp.includes(":") && hostIp !== "::") return [];
  const to = hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::" ? [] : ["-d", hostIp];
  const base = ["-p", protocol, "--dport", String(hostPort), ...to];
  const marks = settings.snat
    ? [formatBlock(container), "127.0.0.1"].map((source) => ({
        words: [...base, "-s", source, "-j", settings.markChain],
      }))
    : [];
  const target = `${formatAddress(container)}:${containerPort}`;
  return [...marks, { words: [...base, "-j", "DNAT", "--to-destination", target] }];
}

/** The rule as iptables-save writes it. */
function savedRule({ words }: ForwardRule): string {
  const after = (flag: string): string | undefined => {
    const at = words.indexOf(flag);
    return at < 0 ? undefined : words[at + 1];
  };
  const prefix = (text: string | undefined): string => {
    const block = parseBlock(text?.includes("/") === false ? `${text}/32` : (text ?? ""));
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
  const usable = settings.mappings.filter(
    (mapping) => forwardRules(settings, mapping, container).length > 0,
  );
  for (const rule of usable.flatMap((mapping) => forwardRules(settings, mapping, container))) {
    refuseAsIptables(host, chain, rule);
    changes.ensureRule(chain, savedRule(rule));
  }
  const comment = `-m comment --comment ${quoteComment(`dnat ${ruleComment(config, call)}`)}`;
  const conditions = settings.conditions.length === 0 ? "" : ` ${settings.conditions.join(" ")}`;
  for (const protocol of [...new Set(usable.map((mapping) => mapping.protocol))].toSorted()) {
    const ports = usable
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
function refuseAsIptables(host: CniHost, chain: string, { words }: ForwardRule): void {
  const port = Number(words[words.indexOf("--dport") + 1]);
  const target = words[words.indexOf("-j") + 1] ?? "";
  const missing = target !== "DNAT" && host.chain("nat", target) === undefined;
  if (port <= 65_535 && !missing) return;
  const said =
    port > 65_535
      ? `iptables v1.8.9 (legacy): invalid port/service \`${port}' specified\nTry \`iptables -h' or 'iptables --help' for more information.\n`
      : `iptables v1.8.9 (legacy): Couldn't load target \`${target}':No such file or directory\n\nTry \`iptables -h' or 'iptables --help' for more information.\n`;
  fail(
    `unable to setup DNAT: running [/usr/sbin/iptables -t nat -C ${chain} ${words.join(" ")} --wait]: exit status 2: ${said}`,
  );
}
