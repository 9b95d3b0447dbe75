import { parseCidr } from "./addresses.js";
import {
  cidrList,
  markText,
  type DetectLocalMode,
  type ProxyMode,
  type ProxySettings,
} from "./config.js";

/** Refuses a value, with a reason. */
export type Fail = (message: string, help?: string) => never;

/** A field of KubeProxyConfiguration, the flag that sets the same, and what a value of it means. */
export interface Setting {
  readonly field: string;
  readonly flag: string;
  readonly type: "string" | "boolean" | "number" | "strings" | "gates";
  apply(value: never, fail: Fail): Partial<ProxySettings>;
}

const MODES: readonly ProxyMode[] = ["iptables", "nftables", "ipvs", "userspace"];
const LOCAL_MODES: readonly DetectLocalMode[] = [
  "ClusterCIDR",
  "NodeCIDR",
  "BridgeInterface",
  "InterfaceNamePrefix",
];

export const SETTINGS: readonly Setting[] = [
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
