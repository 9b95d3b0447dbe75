import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { parseCidr } from "./addresses.js";
import {
  cidrList,
  DEFAULT_SETTINGS,
  markText,
  type DetectLocalMode,
  type ProxyMode,
  type ProxySettings,
} from "./config.js";
import type { FieldPath } from "./objects.js";

/** A field of KubeProxyConfiguration, the flag that sets the same, and what a value of it means. */
interface Setting {
  readonly field: string;
  readonly flag: string;
  readonly type: "string" | "boolean" | "number" | "strings" | "gates";
  apply(value: never, fail: (message: string, help?: string) => never): Partial<ProxySettings>;
}

const MODES: readonly ProxyMode[] = ["iptables", "nftables", "ipvs", "userspace"];
const LOCAL_MODES: readonly DetectLocalMode[] = [
  "ClusterCIDR",
  "NodeCIDR",
  "BridgeInterface",
  "InterfaceNamePrefix",
];

const SETTINGS: readonly Setting[] = [
  {
    field: "mode",
    flag: "proxy-mode",
    type: "string",
    apply: (mode: string, fail) => (mode === "" ? {} : { mode: oneOf(MODES, mode, fail) }),
  },
  {
    field: "clusterCIDR",
    flag: "cluster-cidr",
    type: "string",
    apply: (text: string, fail) => ({
      clusterCIDRs:
        cidrList(text) ??
        fail("must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"),
    }),
  },
  {
    field: "detectLocalMode",
    flag: "detect-local-mode",
    type: "string",
    apply: (mode: string, fail) =>
      mode === "" ? {} : { detectLocalMode: oneOf(LOCAL_MODES, mode, fail) },
  },
  {
    field: "detectLocal.bridgeInterface",
    flag: "pod-bridge-interface",
    type: "string",
    apply: (name: string, fail) => ({ bridgeInterface: interfaceName(name, fail) }),
  },
  {
    field: "detectLocal.interfaceNamePrefix",
    flag: "pod-interface-name-prefix",
    type: "string",
    apply: (name: string, fail) => ({ interfaceNamePrefix: interfaceName(name, fail) }),
  },
  {
    field: "iptables.masqueradeBit",
    flag: "iptables-masquerade-bit",
    type: "number",
    apply: (bit: number, fail) => {
      if (!Number.isInteger(bit) || bit < 0 || bit > 31)
        return fail("must be within the range [0, 31]");
      return { masqueradeMark: markText(bit) };
    },
  },
  {
    field: "iptables.masqueradeAll",
    flag: "masquerade-all",
    type: "boolean",
    apply: (masqueradeAll: boolean) => ({ masqueradeAll }),
  },
  {
    field: "iptables.localhostNodePorts",
    flag: "iptables-localhost-nodeports",
    type: "boolean",
    apply: (localhostNodePorts: boolean) => ({ localhostNodePorts }),
  },
  {
    field: "nodePortAddresses",
    flag: "nodeport-addresses",
    type: "strings",
    apply: (texts: readonly string[], fail) => {
      const valid =
        (texts.length === 1 && texts[0] === "primary") ||
        texts.every((text) => parseCidr(text) !== undefined);
      return { nodePortAddresses: valid ? texts : fail("must be a valid CIDR, or primary alone") };
    },
  },
  {
    field: "featureGates",
    flag: "feature-gates",
    type: "gates",
    apply: (featureGates: { readonly [gate: string]: boolean }) => ({ featureGates }),
  },
];

/** Fields and flags whose meaning is not in the rules of the modes rendered here: kube-proxy takes them, and so do we. */
const OTHER_FIELDS: readonly string[] = [
  "apiVersion",
  "kind",
  "bindAddress",
  "bindAddressHardFail",
  "clientConnection",
  "configSyncPeriod",
  "conntrack",
  "enableProfiling",
  "healthzBindAddress",
  "hostnameOverride",
  "ipvs",
  "linux",
  "logging",
  "metricsBindAddress",
  "oomScoreAdj",
  "portRange",
  "showHiddenMetricsForVersion",
  "udpIdleTimeout",
  "windowsRunAsService",
  "winkernel",
  "syncPeriod",
  "minSyncPeriod",
  "iptables.syncPeriod",
  "iptables.minSyncPeriod",
  "nftables.syncPeriod",
  "nftables.minSyncPeriod",
];

/**
 * Reads a KubeProxyConfiguration, as the kube-proxy ConfigMap holds it in `config.conf`, already out of its YAML. A null
 * is a field that is not set. Throws UserError for a value that kube-proxy would refuse, and for a field it does not know.
 */
export function readProxyConfiguration(
  value: unknown,
  detailsOf?: (path: FieldPath) => UserErrorDetails | undefined,
): ProxySettings {
  let settings = DEFAULT_SETTINGS;
  const nftables = isRecord(value) && value["mode"] === "nftables";
  for (const [path, given] of fieldsOf(value, [])) {
    const name = path.join(".");
    const fail = failAt(name, detailsOf?.(path));
    const setting = SETTINGS.find(
      ({ field }) => field === name.replace(/^nftables\./, "iptables."),
    );
    if (setting === undefined) refuseUnknown(path, fail);
    else {
      const read = applied(setting, given, fail);
      // Both sections hold a mark; the one of the mode counts.
      if (path[0] !== (nftables ? "iptables" : "nftables")) settings = { ...settings, ...read };
    }
  }
  return checked(settings);
}

/**
 * Reads kube-proxy's command line, without the program's name. Flags of the parts not modelled are passed over.
 * `--config` is for the caller: `base` is what that file says, and kube-proxy then takes no other flag but `--hostname-override`.
 */
export function readProxyFlags(
  args: readonly string[],
  base: ProxySettings = DEFAULT_SETTINGS,
): ProxySettings {
  let settings = base;
  for (let index = 0; index < args.length; index++) {
    const [, flag, inline] = /^--?([a-z][-a-z0-9]*)(?:=(.*))?$/s.exec(args[index] ?? "") ?? [];
    const setting = SETTINGS.find((one) => one.flag === flag);
    if (setting === undefined) continue;
    const fail = failAt(`--${setting.flag}`, undefined);
    // A boolean flag takes its value only after `=`.
    const text =
      inline ??
      (setting.type === "boolean" ? "true" : (args[++index] ?? fail("flag needs an argument")));
    settings = { ...settings, ...applied(setting, fromFlag(setting, text, fail), fail) };
  }
  return checked(settings);
}

function refuseUnknown(path: FieldPath, fail: Fail): void {
  const name = path.join(".");
  if (OTHER_FIELDS.includes(name)) return;
  const guess = nearest(name, [...SETTINGS.map(({ field }) => field), ...OTHER_FIELDS]);
  fail("unknown field", guess === undefined ? undefined : `did you mean "${guess}"?`);
}

/** The fields that are set, two levels deep where the known ones are. */
function* fieldsOf(value: unknown, prefix: FieldPath): Generator<[FieldPath, unknown]> {
  if (!isRecord(value))
    throw new UserError("KUBE_PROXY_CONFIG", "KubeProxyConfiguration must be a mapping");
  for (const [key, field] of Object.entries(value)) {
    if (field === null || field === undefined) continue;
    const path = [...prefix, key];
    if (
      prefix.length === 0 &&
      ["iptables", "nftables", "detectLocal"].includes(key) &&
      isRecord(field)
    ) {
      yield* fieldsOf(field, path);
    } else yield [path, field];
  }
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Fail = (message: string, help?: string) => never;

function failAt(name: string, details: UserErrorDetails | undefined): Fail {
  return (message, help) => {
    throw new UserError("KUBE_PROXY_CONFIG", `KubeProxyConfiguration: ${name}: ${message}`, {
      ...details,
      help,
    });
  };
}

function applied(setting: Setting, value: unknown, fail: Fail): Partial<ProxySettings> {
  const right = {
    string: (): boolean => typeof value === "string",
    boolean: (): boolean => typeof value === "boolean",
    number: (): boolean => typeof value === "number",
    strings: (): boolean => Array.isArray(value) && value.every((one) => typeof one === "string"),
    gates: (): boolean =>
      isRecord(value) && Object.values(value).every((one) => typeof one === "boolean"),
  }[setting.type]();
  if (!right) return fail(`must be ${TYPE_WORDS[setting.type]}`);
  return setting.apply(value as never, fail);
}

const TYPE_WORDS: { readonly [type in Setting["type"]]: string } = {
  string: "a string",
  boolean: "true or false",
  number: "a number",
  strings: "a list of strings",
  gates: "a mapping of gates to true or false",
};

function fromFlag(setting: Setting, text: string, fail: Fail): unknown {
  switch (setting.type) {
    case "string":
      return text;
    case "boolean":
      return booleanOf(text, fail);
    case "number":
      return /^\d{1,9}$/.test(text)
        ? Number(text)
        : fail(`invalid argument ${JSON.stringify(text)}`);
    case "strings":
      return text === "" ? [] : text.split(",");
    case "gates":
      return Object.fromEntries(
        text
          .split(",")
          .filter((pair) => pair !== "")
          .map((pair) => {
            const [gate = "", on = ""] = pair.split("=");
            return [gate, booleanOf(on, fail)];
          }),
      );
  }
}

/** Mirrors strconv.ParseBool. */
function booleanOf(text: string, fail: Fail): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return fail(`invalid boolean value ${JSON.stringify(text)}`);
}

function oneOf<T extends string>(known: readonly T[], word: string, fail: Fail): T {
  const found = known.find((one) => one.toLowerCase() === word.toLowerCase());
  return found ?? fail(`unknown value ${JSON.stringify(word)}`, `supported: ${known.join(", ")}`);
}

/** Names go into rule text, so what is not an interface name is refused. */
function interfaceName(name: string, fail: Fail): string {
  return /^[A-Za-z0-9_.:@-]{0,15}$/.test(name)
    ? name
    : fail(`${JSON.stringify(name)} is not an interface name`);
}

function checked(settings: ProxySettings): ProxySettings {
  const needs = {
    BridgeInterface: "bridgeInterface",
    InterfaceNamePrefix: "interfaceNamePrefix",
  } as const;
  const mode = settings.detectLocalMode;
  if (
    (mode === "BridgeInterface" || mode === "InterfaceNamePrefix") &&
    settings[needs[mode]] === ""
  ) {
    failAt(`detectLocal.${needs[mode]}`, undefined)(`must be set for detectLocalMode ${mode}`);
  }
  return settings;
}
